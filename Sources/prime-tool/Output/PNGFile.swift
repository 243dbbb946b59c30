import CPNG
import Glibc
import Prime
package import PrimeVerify

/// Pictures as PNG files.
package enum PNGFile {
  /// The largest width and height that is read.
  package static let largestSide = 16384
  /// The most pixels that are read: a file of 32 KB may claim a billion, which are 4 GiB in memory.
  package static let mostPixels = 8192 * 8192

  /// A file for a picture; see `OutputFile`.
  package static func output(_ path: String) throws(OutputError) -> OutputFile {
    try OutputFile(path, kind: "PNG file", takesStreams: false)
  }

  /// Writes an image with eight bits for each of red, green and blue.
  package static func write(_ image: RGBImage, to path: String) throws(PNGError) {
    do throws(OutputError) {
      let file = try output(path)
      try write(image, to: file)
      try file.keep()
    } catch {
      throw PNGError(error)
    }
  }

  /// Writes its bytes, and leaves it to the caller to keep them or not.
  package static func write(_ image: RGBImage, to file: OutputFile) throws(OutputError) {
    var status = cpng_status()
    try file.write { descriptor in
      let bytes = image.pixels.flatMap { [UInt8($0 >> 16 & 0xff), UInt8($0 >> 8 & 0xff), UInt8($0 & 0xff)] }
      // SAFETY: there are three bytes for each pixel, and the pointers live as long as the call.
      let code = unsafe cpng_write(descriptor, bytes, UInt32(image.width), UInt32(image.height), &status)
      if code == 0 { return nil }
      return code < 0 ? .errno(-code) : .sentence("libpng says \"\(PNGError.message(in: status))\"")
    }
  }

  /// Reads an image of up to 16384 pixels in each direction and 67,108,864 in all.
  ///
  /// Transparent pixels are composed on black: each component c with alpha a becomes (c * a + 127) / 255, on the stored
  /// values, as a display engine does. Deeper files are brought to eight bits by libpng.
  package static func read(_ path: String) throws(PNGError) -> RGBImage {
    var reader: UnsafeMutablePointer<cpng_reader>?
    var status = cpng_status()
    // SAFETY: the pointers live as long as the call; after 0 the reader is one that the shim made.
    var code = unsafe cpng_read_begin(path, UInt32(largestSide), UInt64(mostPixels), &reader, &status)
    guard code == 0, let begun = unsafe reader else { throw PNGError(path, code: code, status) }
    let width = Int(status.width)
    let height = Int(status.height)
    var pixels = [UInt32](repeating: 0, count: width * height)
    // SAFETY: the array has width * height pixels, which is what the shim writes, and the reader is not used again.
    code = unsafe cpng_read_finish(begun, &pixels, &status)
    guard code == 0 else { throw PNGError(path, code: code, status) }
    for index in pixels.indices where pixels[index] >> 24 != 0xff { pixels[index] = onBlack(pixels[index]) }
    return RGBImage(width: width, height: height, pixels: pixels)
  }

  /// A pixel 0xAARRGGBB composed on black.
  private static func onBlack(_ pixel: UInt32) -> UInt32 {
    let alpha = pixel >> 24
    var result: UInt32 = 0
    for shift: UInt32 in [0, 8, 16] { result |= (((pixel >> shift & 0xff) * alpha + 127) / 255) << shift }
    return result
  }
}

/// Why a picture could not be read from a file or written to it, in a sentence.
package struct PNGError: Error, CustomStringConvertible {
  package let description: String

  init(_ path: String, code: CInt, _ status: cpng_status) {
    switch code {
    case CInt(CPNG_NOT_PNG.rawValue): self.init("\(path) is not a PNG file")
    case CInt(CPNG_TOO_LARGE.rawValue):
      self.init(
        "\(path) has \(status.width)x\(status.height) pixels; use a picture of at most \(PNGFile.largestSide) in each "
          + "direction and \(PNGFile.mostPixels) in all")
    case CInt(CPNG_DAMAGED.rawValue):
      self.init("\(path) is damaged: libpng says \"\(Self.message(in: status))\"")
    default: self.init(path, errno: -code)
    }
  }

  init(_ error: OutputError) {
    self.init(error.description)
  }

  /// What libpng says.
  fileprivate static func message(in status: cpng_status) -> String {
    // SAFETY: the tuple is an array of characters in C, and only its own bytes are looked at.
    unsafe withUnsafeBytes(of: status.message) {
      unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
    }
  }

  private init(_ sentence: String) {
    description = sentence
  }

  private init(_ path: String, errno: CInt) {
    switch errno {
    case ENOENT: self.init("\(path) is not there")
    case EISDIR: self.init("\(path) is a folder; give the name of a PNG file")
    case ESPIPE: self.init("\(path) is no regular file; give the name of a PNG file")
    default: self.init("\(path) cannot be read: \(Errno(rawValue: errno))")
    }
  }
}
