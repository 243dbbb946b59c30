/// The timing of a video mode, in pixels and lines, as `drm_mode_modeinfo` carries it.
public struct ModeTiming: Hashable, Sendable {
  /// The width of the visible picture in pixels.
  public let width: Int
  /// The height of the visible picture in lines.
  public let height: Int
  /// Frames a second.
  public let refreshRate: Int

  /// A timing for a display that has no wire, such as a writeback connector: any size, with short blanking.
  public init(width: Int, height: Int, refreshRate: Int = 60) {
    self.width = width
    self.height = height
    self.refreshRate = refreshRate
  }

  /// The bytes of a `struct drm_mode_modeinfo`, as a `MODE_ID` blob wants them; nil where a number does not fit.
  func modeInfoBytes() -> [UInt8]? {
    let horizontal = [0, 16, 48, 80].map { $0 + width }
    let vertical = [0, 3, 8, 20].map { $0 + height }
    let kilohertz = (horizontal[3] * vertical[3] * refreshRate + 999) / 1000
    guard let clock = UInt32(exactly: kilohertz), horizontal[3] <= UInt16.max, vertical[3] <= UInt16.max else {
      return nil
    }
    var bytes: [UInt8] = []
    func append(_ value: some FixedWidthInteger) {
      for byte in 0..<value.bitWidth / 8 { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * byte))) }
    }
    append(clock)
    for value in horizontal { append(UInt16(value)) }
    append(UInt16(0))
    for value in vertical { append(UInt16(value)) }
    append(UInt16(0))
    append(UInt32(refreshRate))
    // Flags and type: no sync polarity, DRM_MODE_TYPE_USERDEF.
    append(UInt32(0))
    append(UInt32(1 << 5))
    let name = Array("\(width)x\(height)".utf8.prefix(31))
    return bytes + name + [UInt8](repeating: 0, count: 32 - name.count)
  }
}
