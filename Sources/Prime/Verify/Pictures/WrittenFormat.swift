internal import Prime

/// The format in which a writeback connector is told to write, and how what it wrote is compared.
struct WrittenFormat: Hashable {
  let fourcc: Fourcc
  /// How far a component may be from what was shown.
  let tolerance: ComponentTolerance

  /// Whether components of eight bits are written as ten.
  var isWidened: Bool { fourcc == .xrgb2101010 }

  private init(_ fourcc: Fourcc, _ tolerance: ComponentTolerance) {
    self.fourcc = fourcc
    self.tolerance = tolerance
  }

  /// Chooses among the formats that a connector writes; nil where a picture can be compared in none of them.
  ///
  /// It is the picture's own width of components where the connector writes that, else XRGB8888. With an overlay its format
  /// counts as well, and one step more where it is translucent: an engine may round a blend either way. XRGB2101010 is
  /// what some engines write alone (amdgpu from DCN 3 on); ten bits tell whether they were eight, but not how a blend was
  /// rounded before.
  init?(for picture: Fourcc, overlay: (format: Fourcc, alpha: Int)? = nil, among formats: Set<Fourcc>) {
    let shown = [picture] + (overlay.map { [$0.format] } ?? [])
    let isTranslucent = overlay.map { $0.alpha < 255 } == true
    func steps(to fourcc: Fourcc) -> Int? {
      let each = shown.map { ComponentTolerance.conversion(between: $0, and: fourcc)?.eightBitSteps }
      return each.contains(nil) ? nil : each.compactMap(\.self).max()
    }
    let wide: [Fourcc] = [.xrgb16161616, .argb16161616]
    let usual = wide.contains(picture) && formats.contains(.xrgb16161616) ? Fourcc.xrgb16161616 : .xrgb8888
    if formats.contains(usual), let steps = steps(to: usual) {
      self.init(usual, ComponentTolerance(eightBitSteps: steps + (isTranslucent ? 1 : 0)))
    } else if formats.contains(.xrgb2101010), steps(to: .xrgb8888) == 0, !isTranslucent {
      self.init(.xrgb2101010, .exact)
    } else {
      return nil
    }
  }
}

/// How an engine makes ten bits of eight.
///
/// Each rule keeps the eight bits in the upper eight of the ten, so that none takes one value for another; they differ in the
/// lower two.
enum ComponentWidening: CaseIterable {
  /// The upper bits again: `v << 2 | v >> 6`.
  case replicated
  /// Zeros: `v << 2`.
  case shifted
  /// The nearest fraction of the full scale: `(v * 1023 + 127) / 255`.
  case nearest

  /// A component of eight bits as ten.
  func widened(_ value: UInt32) -> UInt32 {
    switch self {
    case .replicated: value << 2 | value >> 6
    case .shifted: value << 2
    case .nearest: (value * 1023 + 127) / 255
    }
  }

  /// A picture in XRGB2101010 as the XRGB8888 that it was made of.
  ///
  /// Every component of every pixel has to follow one and the same rule; else ten bits were not made of eight, and the first
  /// pixel that ends the last rule is told.
  static func narrowed(
    _ bytes: Span<UInt8>, layout: PictureLayout
  ) throws(LayoutError) -> Result<(bytes: [UInt8], layout: PictureLayout), Unexplained> {
    let place = layout.planes[0]
    guard let format = PixelFormat(.xrgb8888) else { return .failure(Unexplained(x: 0, y: 0, found: 0)) }
    let narrow = try PictureLayout(
      format: format, width: layout.width, height: layout.height,
      planes: [PlaneLayout(offset: 0, pitch: layout.width * 4)])
    var result: [UInt8] = []
    result.reserveCapacity(narrow.byteCount)
    // Whether a rule makes a component of ten bits, by its number.
    var rules = allCases.map { rule in
      var made = [Bool](repeating: false, count: 1024)
      for value in UInt32(0)..<256 { made[Int(rule.widened(value))] = true }
      return made
    }
    for y in 0..<layout.height {
      for x in 0..<layout.width {
        let start = place.offset + y * place.pitch + x * 4
        let element = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[start + $1]) << UInt32(8 * $1) }
        let components = [element & 0x3ff, element >> 10 & 0x3ff, element >> 20 & 0x3ff]
        rules.removeAll { made in !components.allSatisfy { made[Int($0)] } }
        if rules.isEmpty { return .failure(Unexplained(x: x, y: y, found: element)) }
        for component in components { result.append(UInt8(truncatingIfNeeded: component >> 2)) }
        result.append(0xff)
      }
    }
    return .success((result, narrow))
  }

  /// A pixel that no rule explains which explains the ones before it.
  struct Unexplained: Error, Hashable {
    var x: Int
    var y: Int
    var found: UInt32

    var sentence: String {
      "the pixel at (\(x),\(y)) was written as 0x\(hexadecimal(UInt64(found), digits: 8)) in XRGB2101010, which no rule gives "
        + "that makes ten bits of eight"
    }
  }
}
