internal import Prime

/// The comparison of what a display wrote, as XRGB8888, with a pattern that it was given as luma and chroma.
struct YCbCrLook {
  let conversion: YCbCrConversion
  /// What the display was given.
  let picture: PictureLayout
  /// Where the display wrote: XRGB8888, as large as the picture.
  let target: PictureLayout

  private func content(_ pattern: Pattern) throws -> YCbCrPicture {
    guard let content = try YCbCrPicture(pattern, picture) else {
      throw PrimeError.untestable(
        .writeback, on: picture.format.fourcc.name, reason: "it has no luma and chroma in planes of their own")
    }
    return content
  }

  /// Fills the target with what no pixel can pass for: each component half of the scale away.
  func spoil(_ bytes: inout MutableSpan<UInt8>, before pattern: Pattern) throws {
    var colours = try content(pattern).colours(conversion)
    for y in 0..<target.height {
      colours.make(row: y)
      writeRow(
        colours.row.map { $0 ^ 0x80_8080 }, to: &bytes, at: target.planes[0].offset + y * target.planes[0].pitch)
    }
  }

  /// What is wrong in a sentence; nil where every pixel is as expected, and none would be for a pattern that was never written.
  ///
  /// - Throws: `control` where the picture also matches that pattern.
  func complaint(about bytes: Span<UInt8>, _ examination: Examination) throws -> String? {
    let expected = try content(examination.expected)
    guard let difference = YCbCrDifference(of: bytes, layout: target, from: expected.colours(conversion)) else {
      guard try !YCbCrDifference.isNone(in: bytes, layout: target, from: content(examination.wrong).colours(conversion))
      else {
        throw PrimeError(
          operation: .control, finding: .broken, subject: "\(target.size) \(picture.format.fourcc)",
          reason: "the picture also matches a pattern that was never written, so this comparison proves nothing")
      }
      return nil
    }
    let cause = try cause(of: bytes, expected, examination)
    let pixel = String(difference.expected, radix: 16)
    let found = String(difference.found, radix: 16)
    return
      "\(difference.differing) of \(difference.total) pixels differ by more than \(YCbCrConversion.tolerance) of 255; "
      + "the first is (\(difference.x),\(difference.y)), 0x\(found) and not 0x\(pixel) by \(conversion)"
      + (cause.map { ": \($0)" } ?? "")
  }

  /// What explains every pixel; nil where nothing does.
  private func cause(of bytes: Span<UInt8>, _ expected: YCbCrPicture, _ examination: Examination) throws -> String? {
    let readings = YCbCrPicture.Reading.allCases.filter { reading in
      reading != .asWritten && (reading != .firstBuffer || picture.bufferCount > 1)
    }
    for reading in readings
    where YCbCrDifference.isNone(in: bytes, layout: target, from: expected.colours(conversion, reading)) {
      return reading.sentence
    }
    for other in YCbCrConversion.allCases where other != conversion {
      if YCbCrDifference.isNone(in: bytes, layout: target, from: expected.colours(other)) {
        return "the display converts by \(other), and its plane was told \(conversion)"
      }
    }
    for pattern in examination.earlier {
      let before = try content(pattern)
      if YCbCrDifference.isNone(in: bytes, layout: target, from: before.colours(conversion)) {
        return "this is what was written before"
      }
      if YCbCrDifference.isNone(in: bytes, layout: target, from: expected.colours(conversion, chroma: before)) {
        return "the luma is what was written, and the chroma is what was written before"
      }
      if YCbCrDifference.isNone(in: bytes, layout: target, from: before.colours(conversion, chroma: expected)) {
        return "the chroma is what was written, and the luma is what was written before"
      }
    }
    return nil
  }
}
