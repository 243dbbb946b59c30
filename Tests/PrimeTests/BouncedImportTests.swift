import Testing

@testable import Prime
@testable import PrimeProcesses
@testable import PrimeVerify

/// Imports through bounce buffers, by what the kernel's trace tells.
@Suite("Bounced imports")
struct BouncedImportTests {
  private static let trace = """
    # tracer: nop
     prime-tool-77 [000] ..... 7.5: swiotlb_bounced: dev_name: vkms dma_mask=ffffffffffffffff dev_addr=5400000 size=65536 FORCE
     prime-tool-77 [000] ..... 7.5: swiotlb_bounced: dev_name: vkms dma_mask=ffffffffffffffff dev_addr=5600000 size=1048576 FORCE
     prime-tool-77 [000] ..... 7.6: dma_map_sg: vkms dir=BIDIRECTIONAL dma_addrs={0x1} sizes={0x2} phys_addrs={0x3} attrs=0x0
     prime-tool-77 [000] ..... 7.7: dma_sync_sg_for_cpu: 0000:00:02.0 dir=FROM_DEVICE dma_addrs={0x1} sizes={0x2}
     prime-tool-77 [000] ..... 7.8: swiotlb_bounced: dev_name:
    """

  @Test func `are told from the events of the kernel's trace`() {
    let seen = DMAMapTrace.seen(in: Self.trace)
    #expect(seen.mapped == ["vkms"])
    #expect(seen.synced == ["0000:00:02.0"])
    #expect(seen.bounced == ["vkms": 1 << 20])
  }

  private func refusal(_ errno: Errno, piece: Int?) -> Stop? {
    var seen = DMAMapTrace.Seen()
    if let piece { seen.bounced = ["vkms": piece, "other": 4 << 20] }
    return BouncedImport.refusal(
      PrimeError(operation: "drmPrimeFDToHandle", errno: errno, subject: "vkms"), of: 3 << 20,
      Fixture.format("XRGB8888"), into: "vkms", seen: seen, isImporter: { $0.contains("vkms") })
  }

  @Test func `are refused by the machine where a piece is too large, and by nobody else`() throws {
    let stop = try #require(refusal(.inputOutput, piece: 1 << 20))
    #expect(stop.verdict == .refused)
    #expect(stop.refusedBy == .machine)
    #expect(stop.reason?.contains("pieces of 262144 bytes at the most") == true, "\(stop.reason ?? "")")
    #expect(stop.reason?.hasSuffix("try a buffer of 320x200") == true, "\(stop.reason ?? "")")
    #expect(refusal(.inputOutput, piece: 262_144) == nil)
    #expect(refusal(.inputOutput, piece: nil) == nil)
    #expect(refusal(.noSuchDevice, piece: 1 << 20) == nil)
  }

  @Test func `advise a size that fits one piece in the format`() {
    #expect(BouncedImport.fittingSize(Fixture.format("XRGB8888")).map { [$0.width, $0.height] } == [320, 200])
    #expect(BouncedImport.fittingSize(Fixture.format("XRGB16161616")).map { [$0.width, $0.height] } == [160, 100])
  }

  @Test func `are guessed at where nothing tells`() {
    let kernel = PairScenario.blindImporter.makeKernel()
    kernel.fail(.primeFDToHandle, with: .inputOutput)
    let report = PairScenario.blindImporter.run(on: kernel).report
    #expect(report.verdict == .error)
    #expect(report.reason?.contains("bounce buffers (swiotlb)") == true, "\(report.reason ?? "")")
    kernel.expectNothingLeft()
  }
}
