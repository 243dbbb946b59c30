extension DisplayMode {
  /// A timing for a connector without a wire: any size, 60 Hz, short blanking.
  ///
  /// - Throws: `tooLarge` where the size and its blanking are beyond the 16 bits that a mode has for them.
  public static func withoutWire(_ size: Size) throws(PrimeError) -> DisplayMode {
    try withoutWire(width: size.width, height: size.height)
  }

  /// As `withoutWire(_:)`.
  package static func withoutWire(width: Int, height: Int) throws(PrimeError) -> DisplayMode {
    let (asked, most) = ("\(width)x\(height)", Int(UInt16.max))
    let (width, height) = (max(0, min(width, most)), max(0, min(height, most)))
    // At most this the sums below cannot overflow, and with its blanking it is refused.
    let horizontal = [0, 16, 48, 80].map { UInt16(exactly: $0 + width) }
    let vertical = [0, 3, 8, 20].map { UInt16(exactly: $0 + height) }
    let clock = UInt32(exactly: ((width + 80) * (height + 20) * 60 + 999) / 1000)
    let blank = [UInt8](repeating: 0, count: DisplayMode.byteCount)
    guard width > 0, height > 0, let clock, let htotal = horizontal[3], let vtotal = vertical[3],
      var mode = try? DisplayMode(parsing: blank)
    else {
      throw PrimeError(
        operation: "drmModeCreatePropertyBlob", finding: .tooLarge, subject: "mode",
        reason: "\(asked) is beyond what a mode can say")
    }
    // Smaller than the totals, which fit.
    mode.hdisplay = horizontal[0] ?? htotal
    mode.hsyncStart = horizontal[1] ?? htotal
    mode.hsyncEnd = horizontal[2] ?? htotal
    mode.htotal = htotal
    mode.vdisplay = vertical[0] ?? vtotal
    mode.vsyncStart = vertical[1] ?? vtotal
    mode.vsyncEnd = vertical[2] ?? vtotal
    mode.vtotal = vtotal
    mode.clock = clock
    mode.vrefresh = 60
    // DRM_MODE_TYPE_USERDEF.
    mode.type = 1 << 5
    return mode
  }

  /// Width of the visible picture in pixels.
  public var width: Int { Int(hdisplay) }
  /// Height of the visible picture in pixels.
  public var height: Int { Int(vdisplay) }
  /// Width and height of the visible picture in pixels.
  public var size: Size { Size(width: width, height: height) }
}
