import Testing

@testable import Prime
@testable import PrimeProcesses
@testable import PrimeVerify

@Suite("What a handle is worth")
struct ImportMappingTests {
  @Test(
    "is a pass where the mapping was made, and a handle alone otherwise",
    arguments: [
      (ImportMapping.own, true), (.traced, true), (.byDriver, true), (.none, false), (.unknown, false),
    ])
  func worth(mapping: ImportMapping, isMade: Bool) {
    #expect(mapping.isMade == isMade)
    #expect((mapping.objection(of: "taker") == nil) == isMade)
  }

  @Test func `a trace names the devices that something was mapped for`() {
    let text = """
      # tracer: nop
      #           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
       prime-tool-212     [000] .....    61.803398: dma_map_sg: vkms dir=BIDIRECTIONAL dma_addrs=0x3a000,0x3b000
       prime-tool-212     [000] .....    61.803399: dma_map_page: 0000:00:02.0 dir=TO_DEVICE dma_addr=0x3c000
       prime-tool-212     [000] .....    61.803400: dma_unmap_sg: vgem dir=BIDIRECTIONAL
      """
    #expect(DMAMapTrace.devices(in: text) == ["vkms", "0000:00:02.0"])
  }

  @Test func `a trace has the addresses that a driver was given, the last time and only where all of them are there`() {
    let whole = """
       worker-1 [000] ..... 8.1: dma_map_sg: vgem dir=BIDIRECTIONAL nents=1/1 ents=1/1 dma_addrs={0x1000} sizes={0x1000} attrs=
       worker-1 [000] ..... 8.2: dma_map_sg: vgem dir=BIDIRECTIONAL nents=2/2 ents=2/2 dma_addrs={0x6d600000,0x6d610000} sizes={0x10000,0x1000} phys_addrs={0x6750000,0x6760000} attrs=
      """
    let pieces = [
      DMAMapTrace.Piece(address: 0x6d60_0000, byteCount: 65536),
      DMAMapTrace.Piece(address: 0x6d61_0000, byteCount: 4096),
    ]
    #expect(DMAMapTrace.seen(in: whole).pieces == ["vgem": pieces])
    let cut =
      " worker-1 [000] ..... 8.3: dma_map_sg: vgem dir=BIDIRECTIONAL nents=128/300 ents=128/300 [TRUNCATED] "
      + "dma_addrs={0x1000} sizes={0x1000} attrs="
    #expect(DMAMapTrace.seen(in: whole + "\n" + cut).pieces == [:])
  }

  @Test(
    "a kernel's number is read from what uname prints",
    arguments: [("6.12.117+deb12-amd64", 6, 12), ("7.2.13+deb14-amd64", 7, 2), ("6.1.0-56-amd64", 6, 1)])
  func release(text: String, major: Int, minor: Int) {
    #expect(KernelRelease(text) == KernelRelease(major, minor))
  }

  @Test func `what is no number is not guessed`() {
    #expect(KernelRelease("next-2026") == nil)
    #expect(KernelRelease(6, 9) < KernelRelease(6, 18))
  }
}
