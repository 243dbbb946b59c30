import Testing

@testable import Prime

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
