import Prime
import Testing

@Suite("A picture's layout")
struct FormatsLayoutTests {
  @Test("needs the bytes up to the last pixel, as the kernel counts")
  func byteCount() throws {
    let layout = try PictureLayout(
      format: xrgb8888, width: 100, height: 10, planes: [PlaneLayout(offset: 64, pitch: 512)])
    #expect(layout.byteCount == 64 + 9 * 512 + 400)
  }

  @Test("rounds the planes of odd pictures up")
  func subsampling() throws {
    let layout = try PictureLayout.packed(format: nv12, width: 17, height: 5)
    #expect(layout.columns(ofPlane: 1) == 9)
    #expect(layout.rows(ofPlane: 1) == 3)
    #expect(layout.rowBytes(ofPlane: 1) == 18)
    #expect(layout.planes == [PlaneLayout(offset: 0, pitch: 17), PlaneLayout(offset: 85, pitch: 18)])
    #expect(layout.byteCount == 85 + 3 * 18)
  }

  @Test("aligns pitches and offsets when asked")
  func alignment() throws {
    let layout = try PictureLayout.packed(format: nv12, width: 100, height: 4, pitchAlignment: 64)
    #expect(layout.planes == [PlaneLayout(offset: 0, pitch: 128), PlaneLayout(offset: 512, pitch: 128)])
  }

  @Test("is refused with a sentence where it cannot exist")
  func refusals() {
    expectSentence("a picture of 0x5 pixels is not possible: width and height go from 1 to 4294967295") {
      () throws(LayoutError) in try PictureLayout.packed(format: xrgb8888, width: 0, height: 5)
    }
    expectSentence("a picture of 5x-1 pixels is not possible: width and height go from 1 to 4294967295") {
      () throws(LayoutError) in try PictureLayout(format: xrgb8888, width: 5, height: -1, planes: [])
    }
    expectSentence("NV12 has 2 planes, but 1 was given") { () throws(LayoutError) in
      try PictureLayout(format: nv12, width: 8, height: 8, planes: [PlaneLayout(offset: 0, pitch: 8)])
    }
    expectSentence("plane 0: a pitch of 31 bytes is too small: one row needs 32 bytes") { () throws(LayoutError) in
      try PictureLayout(format: xrgb8888, width: 8, height: 8, planes: [PlaneLayout(offset: 0, pitch: 31)])
    }
    expectSentence("plane 0: an offset of -4 bytes is not possible: it goes from 0 to 4294967295") {
      () throws(LayoutError) in
      try PictureLayout(format: xrgb8888, width: 8, height: 8, planes: [PlaneLayout(offset: -4, pitch: 32)])
    }
    expectSentence("a picture of 1x4294967295 pixels needs more bytes than this machine can count") {
      () throws(LayoutError) in
      try PictureLayout(
        format: xrgb8888, width: 1, height: 4_294_967_295, planes: [PlaneLayout(offset: 0, pitch: 4_294_967_295)])
    }
  }

  private func expectSentence(_ sentence: String, _ make: () throws(LayoutError) -> PictureLayout) {
    do {
      let layout = try make()
      Issue.record("\(layout.width)x\(layout.height) was accepted")
    } catch {
      #expect(error.description == sentence)
    }
  }
}
