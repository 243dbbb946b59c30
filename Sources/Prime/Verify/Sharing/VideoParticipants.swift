public import Prime

/// What a video device does with a buffer that it imports.
public enum VideoImport: Hashable, Sendable {
  /// It reads the buffer, and what it read comes back in another one.
  case reads(VideoRoute)
  /// It writes into the buffer: a known picture where there is a way to give it one, else one of its own.
  case writes(VideoDevice, by: VideoRoute?)
  /// Nothing that anybody could see.
  case unseen(VideoDevice)

  /// The node that imports the buffer.
  public var device: VideoDevice {
    switch self {
    case .reads(let route): route.reader
    case .writes(let device, _), .unseen(let device): device
    }
  }

  /// The node that is needed beside it; nil where none is.
  public var otherDevice: VideoDevice? {
    switch self {
    case .reads(.loop(_, let capture)): capture
    case .writes(_, .loop(let output, _)?): output
    default: nil
    }
  }
}

extension Importer {
  /// A video device as an importer: it reads where what it reads can come back, else it writes.
  public static func video(_ device: VideoDevice, among devices: [VideoDevice]) -> Importer {
    let routes = VideoRoute.all(in: devices)
    var problem = device.problem
    let way: VideoImport
    if let route = routes.first(where: { $0.reader == device }) {
      way = .reads(route)
    } else if device.capabilities?.captures == true, device.capabilities?.streams == true {
      way = .writes(device, by: routes.first { $0.writer == device })
    } else {
      way = .unseen(device)
      problem =
        problem
        ?? .untestable(
          "VIDIOC_QUERYCAP", on: device.subject,
          reason: device.capabilities?.outputs == true
            ? "it reads pictures, and no capture node of the same device could give back what it read"
            : "the node has no queue of pictures")
    }
    return Importer(name: device.name, node: nil, video: way, problem: problem)
  }

  /// The video devices that belong to every run: those that read, and whose copy of what they read comes back, in colours that
  /// can be compared.
  ///
  /// A camera alone is none of them: to look with it is to switch it on. Nor is an encoder, which gives back no picture.
  public static func readingVideo(among devices: [VideoDevice]) -> [Importer] {
    VideoDevice.reading(devices).map { video($0.reader, among: devices) }
  }
}

extension Exporter {
  /// A video device as an exporter of its driver's memory.
  public static func video(_ device: VideoDevice) -> Exporter {
    var problem = device.problem
    if problem == nil, device.capabilities?.roles.isEmpty != false || device.capabilities?.streams != true {
      problem = .untestable("VIDIOC_QUERYCAP", on: device.subject, reason: "the node has no queue of pictures")
    }
    return Exporter(
      name: device.name, primary: nil, render: nil, allocator: .v4l2, video: device, problem: problem)
  }

  /// The video devices that belong to every run: the writing ends of those of `Importer.readingVideo` that have one of the
  /// formats.
  public static func readingVideo(among devices: [VideoDevice], formats: [PixelFormat]) -> [Exporter] {
    var seen: Set<VideoDevice> = []
    return VideoDevice.reading(devices).map(\.writer).filter { device in
      guard seen.insert(device).inserted else { return false }
      // What fails here fails again where it is looked at, and is told there.
      guard let file = try? device.open(), let queue = try? VideoQueue(file, .capture),
        let offered = try? queue.formats()
      else { return true }
      return formats.contains { format in VideoFourcc.codes(of: format.fourcc).contains { offered.contains($0) } }
    }.map(video)
  }
}

extension VideoDevice {
  /// One way for each node that reads.
  fileprivate static func reading(_ devices: [VideoDevice]) -> [VideoRoute] {
    var seen: Set<VideoDevice> = []
    return VideoRoute.all(in: devices)
      .filter { VideoWindow.areOffered(through: $0) && seen.insert($0.reader).inserted }
      .sorted { $0.reader.number < $1.reader.number }
  }
}
