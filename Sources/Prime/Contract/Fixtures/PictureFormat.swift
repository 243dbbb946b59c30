internal import Prime

/// With which pixels the statements look at displays: 32 bits each, which buffers and their sizes are made for.
enum PictureFormat {
  /// What is looked for, the most usual first.
  private static let candidates: [Fourcc] = [
    .xrgb8888, .xbgr8888, .argb8888, .abgr8888, .rgbx8888, .bgrx8888, .rgba8888, .bgra8888,
  ]

  /// The most usual one that is listed; nil where nothing of 32 bits is.
  static func first(of listed: [UInt32]) -> UInt32? {
    candidates.map(\.rawValue).first(where: listed.contains)
  }

  /// What some plane of a display fetches; nil where that is nothing of 32 bits.
  static func shown(by node: CInt, _ system: any KernelCalls) -> UInt32? {
    _ = system.setClientCapability(node, ClientCapability.universalPlanes, 1)
    let planes = (try? system.kmsPlanes(node).get()) ?? []
    return first(of: planes.flatMap { (try? system.kmsPlane(node, id: $0).get())?.formats ?? [] })
  }
}

extension Check {
  /// A format that the subject's display shows; XRGB8888 where it is no display.
  func pictureFormat() throws(Statement.Stop) -> UInt32 {
    guard let device = subject.device, machine.isDisplay(device) else { return Fourcc.xrgb8888.rawValue }
    guard let format = machine.pictureFormat(of: device) else {
      throw .skipped("\(subject.name) shows no format of 32 bits a pixel, which is what this looks with")
    }
    return format
  }
}
