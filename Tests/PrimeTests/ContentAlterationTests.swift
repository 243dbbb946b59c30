import Testing

@testable import Prime
@testable import PrimeVerify

@Suite("Content that is altered on purpose")
struct ContentAlterationTests {
  static let contents: [PictureContent] = [
    .pattern(Pattern(seed: 5, index: 1)), .picture(.smpte), .picture(.gradient), .picture(.checker),
  ]

  private func memory(
    of content: PictureContent, _ layout: PictureLayout, altering alteration: ContentAlteration?
  ) throws -> [UInt8] {
    // What pads a row is left alone.
    var bytes = [UInt8](repeating: 0x11, count: layout.byteCount)
    var span = bytes.mutableSpan
    try content.fill(&span, layout: layout, altering: alteration)
    return bytes
  }

  @Test("differs in the row or the pixel that is named and nowhere else", arguments: contents, ["XRGB8888", "RGB565"])
  func places(content: PictureContent, format: String) throws {
    let layout = try PictureLayout.packed(
      format: Fixture.format(format), width: 33, height: 21, pitchAlignment: 256)
    let plain = try memory(of: content, layout, altering: nil)
    for (alteration, box) in [
      (ContentAlteration.row(0), DamagedRectangle(x: 0, y: 0, width: 33, height: 1)),
      (.row(20), DamagedRectangle(x: 0, y: 20, width: 33, height: 1)),
      (.element(x: 32, y: 7), DamagedRectangle(x: 32, y: 7, width: 1, height: 1)),
      (.everything, DamagedRectangle(x: 0, y: 0, width: 33, height: 21)),
    ] {
      let altered = try memory(of: content, layout, altering: alteration)
      let difference = try content.compare(altered.span, layout: layout, tolerance: .init(eightBitSteps: 9))
      #expect(difference?.rectangle == box)
      #expect(difference?.differing == box.width * box.height)
      let remains = content.remains(in: altered.span, layout: layout)
      #expect(remains?.elements == box.width * box.height)
      #expect(remains?.isAll == (alteration == .everything))
      #expect(
        zip(plain, altered).count { $0 != $1 } <= box.width * box.height * layout.format.planes[0].bytesPerElement)
    }
    #expect(content.remains(in: plain.span, layout: layout) == nil)
  }

  @Test("stands in another order, with every pixel that is there at another place", arguments: contents)
  func exchanges(content: PictureContent) throws {
    let format = Fixture.format("XRGB8888")
    let layout = try PictureLayout.packed(format: format, width: 33, height: 21)
    func pixels(_ alteration: ContentAlteration?) throws -> [UInt32] {
      let bytes = try memory(of: content, layout, altering: alteration)
      return (0..<33 * 21).map { UInt32(truncatingIfNeeded: loadElement(bytes.span, at: $0 * 4, size: 4)) }
    }
    let plain = try pixels(nil)
    for chance in [0, 1, 77, 12_345, 99_999] {
      let exchanges = content.exchanges(size: (33, 21), format: format, from: chance)
      #expect(exchanges.count == 2)
      for exchange in exchanges {
        let altered = try pixels(exchange)
        #expect(altered != plain)
        #expect(altered.sorted() == plain.sorted())
      }
    }
    let grey = PictureContent.picture(
      .image(RGBImage(width: 33, height: 21, pixels: [UInt32](repeating: 7, count: 693))))
    #expect(grey.exchanges(size: (33, 21), format: format, from: 5) == [])
  }

  @Test("says what an engine left of it")
  func sentences() {
    func sentence(_ elements: Int, _ first: Int, _ last: Int, _ whole: Int) -> String {
      UntouchedTarget(elements: elements, firstRow: first, lastRow: last, wholeRows: whole, isAll: false).sentence
    }
    #expect(sentence(32, 5, 5, 1) == "row 5 was not written")
    #expect(sentence(64, 5, 6, 2) == "rows 5 to 6 were not written")
    #expect(sentence(64, 1, 9, 2) == "2 rows were not written, from row 1 to row 9")
    #expect(sentence(1, 9, 9, 0) == "1 element in row 9 was not written")
    #expect(sentence(1200, 0, 9, 0) == "1,200 elements in rows 0 to 9 were not written")
  }
}
