internal import Prime

/// A buffer as a framebuffer that any display engine takes, used as a reader of memory.
///
/// Whatever the picture's format, its rows are shown as XRGB8888, four bytes a pixel, because engines carry that without
/// rounding (vkms 6.12 returns RGB565 with components one off). The fourth byte of each is not carried. A picture below
/// the least size of a framebuffer is shown with what follows it in the same buffer.
struct FetchWindow {
  /// The buffer as the framebuffer is told.
  let description: BufferDescription
  /// The part that the picture covers, in pixels of four bytes.
  let shown: (width: Int, height: Int)

  /// Fits a buffer of `bytes` bytes to a route; `operation` names the observer that wants it.
  init(
    onto picture: BufferDescription, bytes: Int, for route: DisplayRoute, operation: PrimeError.Operation
  ) throws(PrimeError) {
    func unavailable(_ reason: String) -> PrimeError {
      .untestable(operation, on: route.device.subject, reason: reason)
    }
    guard route.formats.formats.contains(.xrgb8888), let format = PixelFormat(.xrgb8888) else {
      throw unavailable("its display engine does not fetch XRGB8888")
    }
    let visibleBytes = picture.layout.rowBytes(ofPlane: 0)
    guard picture.layout.planes.count == 1, visibleBytes.isMultiple(of: 4), let plane = picture.layout.planes.first
    else {
      throw unavailable("only a single plane whose rows are whole 32-bit words can be shown as XRGB8888")
    }
    let width = max(visibleBytes / 4, route.widths.lowerBound)
    let height = max(picture.height, route.heights.lowerBound)
    guard route.widths.contains(width), route.heights.contains(height) else {
      throw unavailable(
        "\(width)x\(height) is larger than its framebuffers can be (\(route.widths.upperBound)x"
          + "\(route.heights.upperBound))")
    }
    let rowBytes = width * format.planes[0].bytesPerElement
    // A picture of one row has no second row to find, so that any pitch describes it.
    let pitch = picture.height == 1 ? max(plane.pitch, (rowBytes + 63) / 64 * 64) : plane.pitch
    guard pitch >= rowBytes, plane.offset + pitch * (height - 1) + rowBytes <= bytes else {
      throw unavailable(
        "its framebuffers are at least \(route.widths.lowerBound)x\(route.heights.lowerBound), and the buffer has no "
          + "room for one")
    }
    let layout = try PictureLayout.checked(
      format: format, width: width, height: height, planes: [PlaneLayout(offset: plane.offset, pitch: pitch)],
      operation: operation, on: route.device.subject)
    description = BufferDescription(layout: layout, modifier: picture.modifier)
    shown = (visibleBytes / 4, picture.height)
  }
}

/// What a display engine was given, for one picture.
struct Showing {
  /// The format that the framebuffer was told, whatever the picture's own is.
  let shownAs: Fourcc
  /// What the plane says against the picture's own format and modifier; nil where it lists them.
  let objection: String?
  /// The size of the buffer of the same exporter that was shown in the picture's place, where the plane had to cover a
  /// larger mode; nil where the picture itself was shown.
  let standIn: (width: Int, height: Int)?

  init(
    _ picture: BufferDescription, as shownAs: Fourcc, on route: DisplayRoute, standIn: (width: Int, height: Int)? = nil
  ) {
    self.standIn = standIn
    self.shownAs = shownAs
    objection = route.formats.objection(to: picture.fourcc, picture.modifier, plane: route.planeID)
  }
}
