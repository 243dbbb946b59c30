/// Why a picture cannot lie in memory the way it was described.
public enum LayoutError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The width or the height is zero, negative or beyond what the kernel can express.
  case size(width: Int, height: Int)

  /// The number of planes given is not the number the format has.
  case planeCount(format: Fourcc, needed: Int, given: Int)

  /// A plane lies in a buffer that cannot be one of the picture's, which has at most as many as planes.
  case buffer(plane: Int, buffer: Int)

  /// No plane lies in this buffer, of those up to the last that is used.
  case unusedBuffer(Int)

  /// Another number of buffers than the planes lie in.
  case bufferCount(needed: Int, given: Int)

  /// A plane reaches beyond its buffer; in bytes.
  case beyondBuffer(plane: Int, needed: Int, size: Int)

  /// A plane's offset is negative or does not fit the kernel's 32 bits.
  case offset(plane: Int, bytes: Int)

  /// A plane's pitch does not fit the kernel's 32 bits.
  case pitch(plane: Int, bytes: Int)

  /// A plane's pitch is smaller than one row of the picture.
  case pitchBelowRow(plane: Int, pitch: Int, rowBytes: Int)

  /// The alignment asked for is not positive.
  case alignment(Int)

  /// The picture's size in bytes is more than this machine can count.
  case tooLarge(width: Int, height: Int)

  /// What is wrong, in one sentence.
  public var description: String {
    switch self {
    case .size(let width, let height):
      "a picture of \(width)x\(height) pixels is not possible: width and height go from 1 to \(UInt32.max)"
    case .planeCount(let format, let needed, let given):
      "\(format) has \(needed) plane\(needed == 1 ? "" : "s"), but \(given) \(given == 1 ? "was" : "were") given"
    case .buffer(let plane, let buffer):
      "plane \(plane): it cannot lie in buffer \(buffer): the buffers of a picture are numbered from 0, one for each plane at "
        + "most"
    case .unusedBuffer(let buffer): "buffer \(buffer) has no plane of the picture in it"
    case .bufferCount(let needed, let given):
      "the planes lie in \(needed) buffer\(needed == 1 ? "" : "s"), but \(given) \(given == 1 ? "was" : "were") given"
    case .beyondBuffer(let plane, let needed, let size):
      "plane \(plane) ends at byte \(needed) of a dma-buf of \(size)"
    case .offset(let plane, let bytes):
      "plane \(plane): an offset of \(bytes) bytes is not possible: it goes from 0 to \(UInt32.max)"
    case .pitch(let plane, let bytes):
      "plane \(plane): a pitch of \(bytes) bytes is not possible: it goes from 1 to \(UInt32.max)"
    case .pitchBelowRow(let plane, let pitch, let rowBytes):
      "plane \(plane): a pitch of \(pitch) bytes is too small: one row needs \(rowBytes) bytes"
    case .alignment(let bytes):
      "a pitch alignment of \(bytes) bytes is not possible: it must be at least 1"
    case .tooLarge(let width, let height):
      "a picture of \(width)x\(height) pixels needs more bytes than this machine can count"
    }
  }
}
