/// A mode as a person names it: "1024x768", "1024x768@60" or "1920x1080@59.94".
public struct ModeRequest: Sendable, Hashable, CustomStringConvertible {
  /// The width in pixels.
  public let width: Int

  /// The height in pixels.
  public let height: Int

  /// Width and height in pixels.
  public var size: Size { Size(width: width, height: height) }

  /// The refresh rate in thousandths of a hertz, or nil where any will do.
  public let refreshMillihertz: Int?

  /// How many digits stood behind the point of the refresh rate.
  private let decimals: Int

  /// Reads WIDTHxHEIGHT or WIDTHxHEIGHT@HERTZ, where hertz may have up to three digits behind a point.
  ///
  /// Everything else is nil, a size of zero or beyond the 65535 that a mode can say among it.
  public init?(parsing text: String) {
    let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
    let size = parts[0].split(maxSplits: 1, omittingEmptySubsequences: false) { $0 == "x" || $0 == "X" }
    guard size.count == 2, let width = Self.number(size[0]), let height = Self.number(size[1]) else { return nil }
    let possible = 1...Int(UInt16.max)
    guard possible.contains(width), possible.contains(height) else { return nil }
    self.width = width
    self.height = height
    guard parts.count == 2 else {
      refreshMillihertz = nil
      decimals = 0
      return
    }
    let rate = parts[1].split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard let hertz = Self.number(rate[0]), hertz <= Int(UInt16.max) else { return nil }
    var millihertz = hertz * 1000
    if rate.count == 2 {
      guard (1...3).contains(rate[1].utf8.count), let fraction = Self.number(rate[1]) else { return nil }
      millihertz += fraction * [100, 10, 1][rate[1].utf8.count - 1]
    }
    guard millihertz > 0 else { return nil }
    refreshMillihertz = millihertz
    decimals = rate.count == 2 ? rate[1].utf8.count : 0
  }

  /// The size, and the refresh rate where one is asked for.
  public var description: String {
    guard let refreshMillihertz else { return "\(width)x\(height)" }
    let rate = decimal(millihertz: refreshMillihertz)
    // Three digits and the point go where none was written.
    return "\(width)x\(height)@\(rate.dropLast(decimals == 0 ? 4 : 3 - decimals))"
  }

  /// Whether a mode has this size, and this refresh rate when rounded to the digits that were written.
  ///
  /// So "@60" takes 59.94 Hz and 60.00 Hz, and "@59.94" only the first.
  public func matches(_ mode: DisplayMode) -> Bool {
    guard Int(mode.hdisplay) == width, Int(mode.vdisplay) == height else { return false }
    guard let refreshMillihertz else { return true }
    let unit = [1000, 100, 10, 1][decimals]
    return (mode.comparableMillihertz + unit / 2) / unit == refreshMillihertz / unit
  }

  /// The mode that fits best, or nil where none matches.
  ///
  /// Of several that match, the one nearest to the refresh rate asked for is taken; with none asked for, the preferred
  /// one. Then the first: the kernel lists better modes first.
  public func best(of modes: [DisplayMode]) -> DisplayMode? {
    var best: DisplayMode?
    for mode in modes where matches(mode) {
      guard let leader = best else {
        best = mode
        continue
      }
      if let refreshMillihertz {
        let distance = abs(mode.comparableMillihertz - refreshMillihertz)
        if distance < abs(leader.comparableMillihertz - refreshMillihertz) { best = mode }
      } else if mode.isPreferred, !leader.isPreferred {
        best = mode
      }
    }
    return best
  }

  /// Up to `limit` different modes that come nearest, the nearest first: by size, then by refresh rate.
  public func nearest(in modes: [DisplayMode], limit: Int = 3) -> [DisplayMode] {
    let ranked = modes.enumerated().map { index, mode in
      let size = abs(Int(mode.hdisplay) - width) + abs(Int(mode.vdisplay) - height)
      let rate = refreshMillihertz.map { abs(mode.comparableMillihertz - $0) } ?? 0
      return (rank: (size, rate, index), mode: mode)
    }
    var shown: Set<String> = []
    return Array(
      ranked.sorted { $0.rank < $1.rank }.map(\.mode).filter { shown.insert($0.description).inserted }.prefix(
        max(0, limit)))
  }

  /// Says that no mode matches and which come nearest: "no mode 1024x769; the nearest are 1024x768@60.004".
  public func refusal(among modes: [DisplayMode]) -> String {
    let near = nearest(in: modes).map(\.description)
    switch near.count {
    case 0: return "no mode \(self): the display lists no modes at all"
    case 1: return "no mode \(self); the nearest is \(near[0])"
    default: return "no mode \(self); the nearest are \(near.joined(separator: ", "))"
    }
  }

  /// Decimal digits only: the standard parser takes a sign, which is not part of a size.
  private static func number(_ text: Substring) -> Int? {
    guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return Int(text)
  }
}

extension DisplayMode {
  /// The exact refresh rate, or the kernel's where the timing gives none.
  var comparableMillihertz: Int { refreshMillihertz ?? Int(vrefresh) * 1000 }
}
