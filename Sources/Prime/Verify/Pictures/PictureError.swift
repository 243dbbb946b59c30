public import Prime

/// Why a picture can be neither written to memory nor read from it.
public enum PictureError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The memory is smaller than the picture; sizes in bytes.
  case memoryTooSmall(needed: Int, given: Int)

  /// Colours cannot be written in this format here.
  case format(Fourcc)

  /// What is wrong, in one sentence.
  public var description: String {
    switch self {
    case .memoryTooSmall(let needed, let given):
      "the picture needs \(grouped(needed)) bytes, but the memory holds \(grouped(given))"
    case .format(let format):
      "a picture cannot be drawn in \(format): it takes one of "
        + ColourEncoding.formats.map(\.name).joined(separator: ", ")
    }
  }

  init(_ error: PatternError) {
    switch error {
    case .memoryTooSmall(let needed, let given): self = .memoryTooSmall(needed: needed, given: given)
    }
  }
}
