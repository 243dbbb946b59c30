import Prime
import Testing

@Suite("What the kernel tells of a dma-buf")
struct BufferFactsTests {
  /// As Linux 6.12 lists a buffer of vgem with a name and a fence that a display holds, and a nameless one that nobody does.
  static let bufinfo = """

    Dma-buf Objects:
    size    \tflags   \tmode    \tcount   \texp_name\tino     \tname
    00016384\t00000002\t00080007\t00000002\tdrm\t00000041\tpicture
    \twrite fence:vgem unbound seq 1
    \tAttached Devices:
    \tvkms
    Total 1 devices attached

    00004096\t00000000\t00080005\t00000001\tsystem\t00000042\t<none>
    \tAttached Devices:
    Total 0 devices attached


    Total 2 objects, 20480 bytes
    """

  @Test("bufinfo has its size, flags, exporter, name, fences and devices")
  func heldBuffer() throws {
    let listed = try #require(BufferFacts.listed(inode: 41, in: Self.bufinfo))
    #expect(listed.byteCount == 16384)
    #expect(listed.flags == 2)
    #expect(listed.exporter == "drm")
    #expect(listed.name == "picture")
    #expect(listed.fences.count == 1)
    #expect(listed.devices == ["vkms"])
  }

  @Test("A buffer that nobody holds has no devices, and none of its neighbour's")
  func idleBuffer() throws {
    let listed = try #require(BufferFacts.listed(inode: 42, in: Self.bufinfo))
    #expect(listed.byteCount == 4096)
    #expect(listed.exporter == "system")
    #expect(listed.fences == [])
    #expect(listed.devices == [])
  }

  @Test("A size is no inode", arguments: [UInt64(4), 16384, 2])
  func absent(inode: UInt64) {
    #expect(BufferFacts.listed(inode: inode, in: Self.bufinfo) == nil)
  }

  @Test("fdinfo gives the value of a key, and nil for one that is not there")
  func fdinfo() {
    let text = "pos:\t0\nflags:\t02100002\nsize:\t16384\ncount:\t1\nexp_name:\tdrm\nname:\tpicture"
    #expect(BufferFacts.value(of: "size", in: text) == "16384")
    #expect(BufferFacts.value(of: "exp_name", in: text) == "drm")
    #expect(BufferFacts.value(of: "name", in: text) == "picture")
    #expect(BufferFacts.value(of: "ino", in: text) == nil)
  }
}
