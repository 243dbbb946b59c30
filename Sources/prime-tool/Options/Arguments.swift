import ArgumentParser
import Prime

/// A width and a height in pixels.
struct PictureSize {
  let width: Int
  let height: Int
}

/// A place on a screen or beside it, in pixels from the screen's upper left corner.
struct PicturePlace {
  let x: Int
  let y: Int
}

/// Reads values of the command line, and says what is wrong with those it cannot take.
enum Arguments {
  /// Takes `WIDTHxHEIGHT`; 65535 is what a framebuffer and a mode can say at the most.
  static func size(_ text: String) throws -> PictureSize {
    let parts = text.split(separator: "x", omittingEmptySubsequences: false)
    guard parts.count == 2, let width = Int(parts[0]), let height = Int(parts[1]),
      (1...65535).contains(width), (1...65535).contains(height)
    else { throw ValidationError("a size is WIDTHxHEIGHT, each from 1 to 65535, for example 1920x1080") }
    return PictureSize(width: width, height: height)
  }

  /// Takes `X,Y`, a place on the screen.
  static func place(_ text: String) throws -> PicturePlace {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    guard parts.count == 2, let x = Int(parts[0]), let y = Int(parts[1]), (-65535...65535).contains(x),
      (-65535...65535).contains(y)
    else { throw ValidationError("a place is X,Y, each from -65535 to 65535, for example 100,80") }
    return PicturePlace(x: x, y: y)
  }

  /// Takes a format's name or code that this library knows how to lay out.
  static func format(_ text: String) throws -> PixelFormat {
    guard let format = Fourcc(parsing: text).flatMap(PixelFormat.init) else {
      let names = PixelFormat.known.map(\.fourcc.name)
      // Of codes as well: a slip in XR24 is no slip in XRGB8888.
      let meant = Suggestion.sentence(
        for: text, among: names + PixelFormat.known.compactMap(\.fourcc.characters), otherwise: ";")
      throw ValidationError("no such format\(meant) known are \(names.joined(separator: ", "))")
    }
    return format
  }

  /// Takes `WIDTHxHEIGHT` with or without `@HZ`.
  static func mode(_ text: String) throws -> ModeRequest {
    guard let mode = ModeRequest(parsing: text) else {
      throw ValidationError("a mode is WIDTHxHEIGHT or WIDTHxHEIGHT@HZ, for example 1920x1080@60")
    }
    return mode
  }

  /// Whether each plane gets a buffer of its own, which a format with several planes is needed for.
  static func disjoint(_ isAsked: Bool, _ formats: [PixelFormat]) throws -> Bool {
    guard isAsked, !formats.contains(where: { $0.planes.count > 1 }) else { return isAsked }
    let names = formats.map(\.fourcc.name).joined(separator: ", ")
    throw ExitStatus.usage("--disjoint needs a format with several planes, such as --format NV12; \(names) has one")
  }

  /// Takes `linear`, `invalid` or a number.
  static func modifier(_ text: String) throws -> Modifier {
    guard let modifier = Modifier(parsing: text) else {
      throw ValidationError("a modifier is `linear`, `invalid` or a number such as 0x0100000000000001")
    }
    return modifier
  }
}

/// A way to allocate, or every way.
enum AllocatorChoice: String, ExpressibleByArgument, CaseIterable {
  case gbm
  case dumb
  case udmabuf
  case heap
  case v4l2
  case all

  var kinds: [AllocatorKind] {
    AllocatorKind(rawValue: rawValue).map { [$0] } ?? AllocatorKind.allCases
  }
}
