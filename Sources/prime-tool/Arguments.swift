import ArgumentParser
import Prime

/// A width and a height on the command line.
struct PictureSize: ExpressibleByArgument {
  let width: Int
  let height: Int

  init(width: Int, height: Int) {
    self.width = width
    self.height = height
  }

  /// Takes `WIDTHxHEIGHT`, each from 1 to 65535, which is what a mode and a framebuffer can say at the most.
  init?(argument: String) {
    let parts = argument.split(separator: "x", omittingEmptySubsequences: false)
    guard parts.count == 2, let width = Int(parts[0]), let height = Int(parts[1]),
      (1...65535).contains(width), (1...65535).contains(height)
    else { return nil }
    self.init(width: width, height: height)
  }

  var defaultValueDescription: String { "\(width)x\(height)" }
}

/// A pixel format on the command line.
struct FormatChoice: ExpressibleByArgument {
  let format: PixelFormat

  /// Takes a name or a code that this library knows how to lay out.
  init?(argument: String) {
    guard let format = Fourcc(parsing: argument).flatMap(PixelFormat.init) else { return nil }
    self.format = format
  }

  private init(_ format: PixelFormat) { self.format = format }

  static var xrgb8888: FormatChoice {
    // The table holds this format; a missing one would be seen by every test.
    guard let format = PixelFormat(.xrgb8888) else { preconditionFailure("XRGB8888 is not in the table") }
    return FormatChoice(format)
  }

  var defaultValueDescription: String { format.fourcc.name }
}

/// A modifier on the command line.
struct ModifierChoice: ExpressibleByArgument {
  let modifier: Modifier

  /// Takes `linear` or a number.
  init?(argument: String) {
    guard let modifier = Modifier(parsing: argument) else { return nil }
    self.modifier = modifier
  }

  var defaultValueDescription: String { modifier.description }
}

/// A way to allocate, or every way.
enum AllocatorChoice: String, ExpressibleByArgument, CaseIterable {
  case gbm
  case dumb
  case udmabuf
  case heap
  case all

  var kinds: [AllocatorKind] {
    switch self {
    case .gbm: [.gbm]
    case .dumb: [.dumb]
    case .udmabuf: [.udmabuf]
    case .heap: [.heap]
    case .all: AllocatorKind.allCases
    }
  }
}
