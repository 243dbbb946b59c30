extension PrimeError {
  /// What a display means by an errno of a commit or `drmModeSetCrtc`, where it means one thing only.
  static func displayReason(_ errno: Errno) -> String? {
    switch errno {
    case .noSpace:
      "the buffer is smaller than what is to be shown of it: it must be at least as large as the mode"
    default: nil
    }
  }
}

extension Result where Failure == Errno {
  /// As `orThrow`, with what a display means by the errno.
  func asDisplayCall(_ operation: PrimeError.Operation, on subject: String) throws(PrimeError) -> Success {
    do throws(PrimeError) {
      return try orThrow(operation, on: subject)
    } catch {
      throw error.errno.flatMap(PrimeError.displayReason).map(error.explained) ?? error
    }
  }
}

extension Framebuffer {
  /// Why a display refuses to make a framebuffer of a buffer, found by asking it for others; nil where that tells nothing.
  ///
  /// The kernel says `EINVAL` for a buffer that is too small, for a pitch that the display cannot step by, and for much
  /// else. `byteCount` is the size of the buffer.
  package static func refusalReason(
    of handle: borrowing GEMHandle, _ description: BufferDescription, byteCount: Int
  ) -> String? {
    guard description.layout.planes.count == 1 else { return nil }
    let pitch = description.layout.planes[0].pitch
    let needed = description.layout.byteCount
    guard byteCount >= needed else {
      return "the buffer has \(byteCount) bytes, and \(description.width)x\(description.height) \(description.fourcc) "
        + "with a pitch of \(pitch) needs \(needed): it is smaller than the picture"
    }
    // Display engines step by powers of two; the buffer has room for wider rows where it is told to have fewer.
    for alignment in [64, 128, 256, 512, 1024] where !pitch.isMultiple(of: alignment) {
      // An odd multiple of it is none of the next larger power.
      let wider = ((pitch / alignment + 1) | 1) * alignment
      let height = min(description.height, byteCount / wider)
      guard height > 0,
        let layout = try? PictureLayout(
          format: description.layout.format, width: description.width, height: height,
          planes: [PlaneLayout(offset: 0, pitch: wider)]),
        (try? Framebuffer(handle, BufferDescription(layout: layout, modifier: description.modifier))) != nil
      else { continue }
      return "it refuses the pitch of \(pitch) bytes and takes \(wider), so it wants a multiple of \(alignment): "
        + "\(Remedy.gbmAllocator), or choose a mode whose rows are such a multiple"
    }
    return nil
  }
}
