internal import Glibc

/// An open V4L2 node, closed with its last holder.
///
/// The queues of a capture or output node belong to the device: a second file cannot use them while the first one does
/// (`EBUSY`). Those of a mem2mem node belong to the open file.
public final class VideoFile: Sendable {
  /// The path that was opened.
  public let path: String
  /// The driver's name, for example `vivid`.
  public let driver: String
  /// What the driver calls the device.
  public let card: String
  /// Where the device sits, as its driver tells (`bus_info`).
  public let bus: String
  /// What the node can do.
  public let capabilities: VideoCapabilities
  private let descriptor: Descriptor

  private init(path: String, _ answer: KernelVideoCapability, descriptor: consuming Descriptor) {
    self.path = path
    driver = answer.driver
    card = answer.card
    bus = answer.busInfo
    capabilities = VideoCapabilities(rawValue: answer.flags)
    self.descriptor = descriptor
  }

  /// Opens a node read/write and without blocking, and asks what it is (`VIDIOC_QUERYCAP`).
  ///
  /// - Throws: `open` with `EACCES` and the group to join, `ENOENT`, `EBUSY`; `VIDIOC_QUERYCAP` with `ENOTTY` for what is
  ///   no V4L2 node.
  public static func open(_ path: String) throws(PrimeError) -> VideoFile {
    try open(path, kernel: LinuxKernel())
  }

  package static func open(_ path: String, kernel: any KernelCalls) throws(PrimeError) -> VideoFile {
    let opened = kernel.open(path, flags: O_RDWR | O_NONBLOCK)
    var reason: String?
    if case .failure(let errno) = opened { reason = openingReason(errno, path: path, kernel) }
    let descriptor = Descriptor(adopting: try opened.orThrow("open", on: path, reason: reason), kernel: kernel)
    let answer = try kernel.videoCapability(descriptor.rawValue).orThrow(
      "VIDIOC_QUERYCAP", on: path, reason: "the node does not answer as a V4L2 device")
    return VideoFile(path: path, answer, descriptor: descriptor)
  }

  private static func openingReason(_ errno: Errno, path: String, _ kernel: any FileCalls) -> String? {
    switch errno {
    case .busy: "another program has it, and its driver lets one at a time in"
    case .noSuchFile: "there is no such node; `v4l2-ctl --list-devices` shows those of this machine"
    default: Device.openingReason(errno, path: path, kernel)
    }
  }

  package var kernel: any KernelCalls { descriptor.kernel }

  package var rawDescriptor: CInt { descriptor.rawValue }

  /// How messages name it: `vivid (/dev/video0)`.
  public var subject: String { "\(driver) (\(path))" }
}
