/// A video mode with its full timing: `struct drm_mode_modeinfo`, which is also what a `MODE_ID` blob holds.
public struct DisplayMode: Sendable, Hashable, CustomStringConvertible {
  /// The pixel clock in kilohertz.
  public var clock: UInt32

  /// The width of the visible picture in pixels.
  public var hdisplay: UInt16

  /// Where the horizontal sync pulse starts, in pixels from the start of the line.
  public var hsyncStart: UInt16

  /// Where the horizontal sync pulse ends, in pixels from the start of the line.
  public var hsyncEnd: UInt16

  /// The length of a whole line in pixels, blanking included.
  public var htotal: UInt16

  /// The skew of the data enable signal, in pixels; 0 nearly everywhere.
  public var hskew: UInt16

  /// The height of the visible picture in lines.
  public var vdisplay: UInt16

  /// The line in which the vertical sync pulse starts.
  public var vsyncStart: UInt16

  /// The line in which the vertical sync pulse ends.
  public var vsyncEnd: UInt16

  /// The lines of a whole frame, blanking included.
  public var vtotal: UInt16

  /// How often each line is scanned out, where it is more than once.
  public var vscan: UInt16

  /// The frames a second as the kernel rounded them; `refreshMillihertz` is exact.
  public var vrefresh: UInt32

  /// The bits `DRM_MODE_FLAG_…`.
  public var flags: UInt32

  /// The bits `DRM_MODE_TYPE_…`.
  public var type: UInt32

  /// The 32 bytes of the name, with whatever follows its end.
  private var nameBytes: [UInt8]

  /// The size of `struct drm_mode_modeinfo`.
  public static let byteCount = 68

  private static let nameSize = 32

  /// Reads a `struct drm_mode_modeinfo`.
  ///
  /// - Throws: `BlobError` where there are not exactly 68 bytes, which the kernel refuses as well.
  public init(parsing bytes: [UInt8]) throws(BlobError) {
    guard bytes.count == Self.byteCount else {
      throw .size(structure: "drm_mode_modeinfo", needed: Self.byteCount, found: bytes.count)
    }
    clock = bytes.number(at: 0, as: UInt32.self)
    hdisplay = bytes.number(at: 4, as: UInt16.self)
    hsyncStart = bytes.number(at: 6, as: UInt16.self)
    hsyncEnd = bytes.number(at: 8, as: UInt16.self)
    htotal = bytes.number(at: 10, as: UInt16.self)
    hskew = bytes.number(at: 12, as: UInt16.self)
    vdisplay = bytes.number(at: 14, as: UInt16.self)
    vsyncStart = bytes.number(at: 16, as: UInt16.self)
    vsyncEnd = bytes.number(at: 18, as: UInt16.self)
    vtotal = bytes.number(at: 20, as: UInt16.self)
    vscan = bytes.number(at: 22, as: UInt16.self)
    vrefresh = bytes.number(at: 24, as: UInt32.self)
    flags = bytes.number(at: 28, as: UInt32.self)
    type = bytes.number(at: 32, as: UInt32.self)
    nameBytes = Array(bytes[36...])
  }

  /// The bytes of the structure; what `init(parsing:)` read comes out again unchanged.
  public var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.byteCount)
    bytes.append(number: clock)
    for value in [
      hdisplay, hsyncStart, hsyncEnd, htotal, hskew, vdisplay, vsyncStart, vsyncEnd, vtotal, vscan,
    ] {
      bytes.append(number: value)
    }
    for value in [vrefresh, flags, type] { bytes.append(number: value) }
    return bytes + nameBytes
  }

  /// The mode's name up to its first zero byte.
  ///
  /// Bytes that are no printable ASCII are shown as U+FFFD: any DRM master can put anything into a mode's name.
  public var name: String {
    String(
      String.UnicodeScalarView(
        nameBytes.prefix { $0 != 0 }.map { (0x20...0x7e).contains($0) ? UnicodeScalar($0) : "\u{fffd}" }))
  }
}

extension DisplayMode {
  /// Whether the kernel or the display prefers this mode (`DRM_MODE_TYPE_PREFERRED`).
  public var isPreferred: Bool { type & 1 << 3 != 0 }

  /// Whether a frame comes in two fields (`DRM_MODE_FLAG_INTERLACE`).
  public var isInterlaced: Bool { flags & 1 << 4 != 0 }

  /// Whether each line is scanned out twice (`DRM_MODE_FLAG_DBLSCAN`).
  public var isDoubleScan: Bool { flags & 1 << 5 != 0 }

  /// How often a picture is shown, in thousandths of a hertz, rounded; nil where the timing has no pixels at all.
  ///
  /// This is counted from clock and totals as the kernel's `drm_mode_vrefresh` does it: an interlaced mode shows two
  /// fields a frame, and lines that are scanned out several times take several times as long.
  public var refreshMillihertz: Int? {
    var pixels = UInt64(htotal) * UInt64(vtotal)
    if isDoubleScan { pixels *= 2 }
    if vscan > 1 { pixels *= UInt64(vscan) }
    guard pixels > 0 else { return nil }
    // Below 2^53 even for the largest clock.
    let pixelsInThousandSeconds = UInt64(clock) * 1_000_000 * (isInterlaced ? 2 : 1)
    return Int((pixelsInThousandSeconds + pixels / 2) / pixels)
  }

  /// Size and refresh rate: "1024x768@60.004", with an "i" behind the size of an interlaced mode.
  public var description: String {
    let size = "\(hdisplay)x\(vdisplay)\(isInterlaced ? "i" : "")"
    guard let refreshMillihertz else { return vrefresh == 0 ? size : "\(size)@\(vrefresh)" }
    return "\(size)@\(decimal(millihertz: refreshMillihertz))"
  }
}

/// Hertz with three digits behind the point.
func decimal(millihertz: Int) -> String {
  let rest = String(millihertz % 1000)
  return "\(millihertz / 1000).\(String(repeating: "0", count: 3 - rest.utf8.count))\(rest)"
}
