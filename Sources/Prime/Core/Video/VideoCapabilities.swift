/// What a video node can do (`VIDIOC_QUERYCAP`, `device_caps`).
public struct VideoCapabilities: Hashable, Sendable {
  /// The kernel's bits (`V4L2_CAP_*` of `linux/videodev2.h`), known or not.
  public let rawValue: UInt32

  /// Keeps the kernel's bits.
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  private func has(_ bits: UInt32) -> Bool { rawValue & bits != 0 }

  /// It writes pictures into buffers, those of a mem2mem device included.
  public var captures: Bool { has(Bit.capture | Bit.captureMultiPlanar) || isMemoryToMemory }
  /// It reads pictures from buffers, those of a mem2mem device included.
  public var outputs: Bool { has(Bit.output | Bit.outputMultiPlanar) || isMemoryToMemory }
  /// Each open file has an output and a capture queue: what it reads from the one it writes to the other.
  public var isMemoryToMemory: Bool { has(Bit.memoryToMemory | Bit.memoryToMemoryMultiPlanar) }
  /// Its queues are multi-planar: a picture may lie in several buffers.
  public var isMultiPlanar: Bool {
    has(Bit.captureMultiPlanar | Bit.outputMultiPlanar | Bit.memoryToMemoryMultiPlanar)
  }
  /// It has queues of buffers, without which nothing can be shared.
  public var streams: Bool { has(Bit.streaming) }

  /// The numbers of `linux/videodev2.h`.
  private enum Bit {
    static let capture: UInt32 = 0x1
    static let output: UInt32 = 0x2
    static let captureMultiPlanar: UInt32 = 0x1000
    static let outputMultiPlanar: UInt32 = 0x2000
    static let memoryToMemoryMultiPlanar: UInt32 = 0x4000
    static let memoryToMemory: UInt32 = 0x8000
    static let streaming: UInt32 = 0x0400_0000
  }
}

extension VideoCapabilities: CustomStringConvertible {
  /// What it does with pictures: `capture`, `output`, or `mem2mem` alone; none for a node of metadata, sound or radio.
  public var roles: [String] {
    isMemoryToMemory ? ["mem2mem"] : [captures ? "capture" : nil, outputs ? "output" : nil].compactMap { $0 }
  }

  /// For people: its roles, with `multi-planar` where it is; `no pictures` where it has none.
  public var description: String {
    guard !roles.isEmpty else { return "no pictures" }
    return (roles + (isMultiPlanar ? ["multi-planar"] : [])).joined(separator: ", ")
  }
}
