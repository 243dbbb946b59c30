import CPNG
import Glibc
package import Prime

/// Pictures as PNG files.
package enum PNGFile {
  /// The largest width and height that is read.
  package static let largestSide = 16384

  /// Writes an image with eight bits for each of red, green and blue.
  ///
  /// The file appears under its name when it is complete: until then its bytes are in a hidden file beside it, which goes
  /// away when something fails. A file that was there before is replaced, or stays as it was.
  package static func write(_ image: RGBImage, to path: String) throws(PNGError) {
    let draft = Draft(of: path)
    try draft.write(image)
    try draft.keep()
  }

  /// The bytes of a file that is not under its name yet: one process may write them and another one keep them.
  package struct Draft: Sendable {
    private let path: String
    private let temporary: String

    /// Names a draft, and makes none.
    package init(of path: String) {
      self.path = path
      let (folder, name) = split(path)
      temporary = "\(folder).\(name).\(getpid()).part"
    }

    /// Writes the bytes beside the file.
    package func write(_ image: RGBImage) throws(PNGError) {
      try PNGFile.write(image, for: path, to: temporary)
    }

    /// Gives it its name, in place of a file that was there.
    package func keep() throws(PNGError) {
      // SAFETY: both strings live as long as the call.
      guard unsafe rename(temporary, path) == 0 else {
        let number = errno
        discard()
        throw PNGError(.write, path, errno: number)
      }
    }

    /// Removes it, where it is there.
    package func discard() {
      // SAFETY: the string lives as long as the call.
      unsafe unlink(temporary)
    }
  }

  private static func write(_ image: RGBImage, for path: String, to temporary: String) throws(PNGError) {
    var there = stat()
    // SAFETY: both arguments live as long as the call.
    if unsafe stat(path, &there) == 0, there.st_mode & S_IFMT != S_IFREG {
      // A rename would put the picture in the place of a device node, /dev/null for one.
      throw PNGError(.write, path, errno: there.st_mode & S_IFMT == S_IFDIR ? EISDIR : ESPIPE)
    }
    // SAFETY: the string lives as long as the call. What a killed process of this number left is in nobody's use.
    unsafe unlink(temporary)
    // SAFETY: the string lives as long as the call.
    let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw PNGError(.write, path, errno: errno) }
    var status = cpng_status()
    let bytes = image.pixels.flatMap { [UInt8($0 >> 16 & 0xff), UInt8($0 >> 8 & 0xff), UInt8($0 & 0xff)] }
    // SAFETY: there are three bytes for each pixel, and the pointers live as long as the call.
    let code = unsafe cpng_write(descriptor, bytes, UInt32(image.width), UInt32(image.height), &status)
    guard code == 0 else {
      // SAFETY: the string lives as long as the call.
      unsafe unlink(temporary)
      throw PNGError(.write, path, code: code, status)
    }
  }

  /// Reads an image of up to 16384 pixels in each direction.
  ///
  /// Transparent pixels are composed on black: each component c with alpha a becomes (c * a + 127) / 255, on the stored
  /// values, as a display engine does. Deeper files are brought to eight bits by libpng.
  package static func read(_ path: String) throws(PNGError) -> RGBImage {
    var reader: UnsafeMutablePointer<cpng_reader>?
    var status = cpng_status()
    // SAFETY: the pointers live as long as the call; after 0 the reader is one that the shim made.
    var code = unsafe cpng_read_begin(path, UInt32(largestSide), &reader, &status)
    guard code == 0, let begun = unsafe reader else { throw PNGError(.read, path, code: code, status) }
    let width = Int(status.width)
    let height = Int(status.height)
    var pixels = [UInt32](repeating: 0, count: width * height)
    // SAFETY: the array has width * height pixels, which is what the shim writes, and the reader is not used again.
    code = unsafe cpng_read_finish(begun, &pixels, &status)
    guard code == 0 else { throw PNGError(.read, path, code: code, status) }
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

  /// The folder of a path with its slash, and the name in it.
  private static func split(_ path: String) -> (folder: String, name: String) {
    guard let slash = path.lastIndex(of: "/") else { return ("", path) }
    return (String(path[...slash]), String(path[path.index(after: slash)...]))
  }
}

/// Why a picture could not be read from a file or written to it.
package struct PNGError: Error, CustomStringConvertible {
  package let description: String

  enum Action: String {
    case read
    case write
  }

  init(_ action: Action, _ path: String, code: CInt, _ status: cpng_status) {
    switch code {
    case CInt(CPNG_NOT_PNG.rawValue): self.init("\(path) is not a PNG file")
    case CInt(CPNG_TOO_LARGE.rawValue):
      self.init(
        "\(path) has \(status.width)x\(status.height) pixels; use a picture of at most \(PNGFile.largestSide) in each "
          + "direction")
    case CInt(CPNG_DAMAGED.rawValue):
      // SAFETY: the tuple is an array of characters in C, and only its own bytes are looked at.
      let message = unsafe withUnsafeBytes(of: status.message) {
        unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      self.init("\(path) \(action == .read ? "is damaged" : "cannot be written"): libpng says \"\(message)\"")
    default: self.init(action, path, errno: -code)
    }
  }

  private init(_ sentence: String) {
    description = sentence
  }

  init(_ action: Action, _ path: String, errno: CInt) {
    switch (action, errno) {
    case (.read, ENOENT): description = "\(path) is not there"
    case (_, EISDIR): description = "\(path) is a folder; give the name of a PNG file"
    case (_, ESPIPE): description = "\(path) is no regular file; give the name of a PNG file"
    case (.write, ENOENT), (.write, ENOTDIR):
      description = "\(path) cannot be written: its folder is not there; make it first"
    case (.write, ENOSPC), (.write, EDQUOT):
      description = "\(path) cannot be written: the disk is full; nothing was written"
    case (.write, EFBIG):
      description = "\(path) cannot be written: it would be larger than the limit for files; nothing was written"
    default:
      // SAFETY: glibc's messages are constants.
      let name = unsafe strerrorname_np(errno).map { unsafe String(cString: $0) } ?? "errno \(errno)"
      let text = unsafe strerrordesc_np(errno).map { unsafe String(cString: $0) } ?? "unknown error"
      description = "\(path) cannot be \(action == .read ? "read" : "written"): \(name) (\(text))"
    }
  }
}
