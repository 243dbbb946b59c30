/// A way for a picture through video hardware: something reads it from one buffer and writes it into another.
public enum VideoRoute: Hashable, Sendable {
  /// A mem2mem node, which reads from its output queue and writes to its capture queue.
  case memoryToMemory(VideoDevice)
  /// An output node whose picture comes back through a capture node of the same device.
  case loop(output: VideoDevice, capture: VideoDevice)

  /// The ways that the usable nodes have: each mem2mem node, and each pair of an output and a capture node on one bus.
  ///
  /// Whether a pair can be wired together is known when it is tried (`VideoLook.init`).
  public static func all(in devices: [VideoDevice]) -> [VideoRoute] {
    let usable = devices.filter { $0.problem == nil && $0.capabilities?.streams == true }
    let simple = usable.filter { $0.capabilities?.isMemoryToMemory == false }
    let captures = simple.filter { $0.capabilities?.captures == true }
    let outputs = simple.filter { $0.capabilities?.outputs == true }
    return usable.filter { $0.capabilities?.isMemoryToMemory == true }.map(VideoRoute.memoryToMemory)
      + outputs.flatMap { output in
        captures.filter { $0.bus == output.bus && $0.driver == output.driver && $0.path != output.path }
          .map { VideoRoute.loop(output: output, capture: $0) }
      }
  }

  /// The node that reads the picture.
  public var reader: VideoDevice {
    switch self {
    case .memoryToMemory(let device): device
    case .loop(let output, _): output
    }
  }

  /// The node that writes what was read.
  public var writer: VideoDevice {
    switch self {
    case .memoryToMemory(let device): device
    case .loop(_, let capture): capture
    }
  }
}
