/// Memory of a V4L2 driver, one buffer after the other (`V4L2_MEMORY_MMAP`, `VIDIOC_EXPBUF`).
///
/// A buffer outlives the queue that it came from, so that the queue is free again when it is handed out: the device has the
/// settings of before, and may import it like any other.
public struct VideoAllocator: Allocator {
  private let device: VideoDevice
  private let kernel: any KernelCalls

  /// Allocates on a node, which is opened for each buffer.
  public init(_ device: VideoDevice) { self.init(device, kernel: LinuxKernel()) }

  package init(_ device: VideoDevice, kernel: any KernelCalls) {
    self.device = device
    self.kernel = kernel
  }

  /// `.v4l2`.
  public var kind: AllocatorKind { .v4l2 }

  /// Nil: it is no DRM node.
  public var node: DRMNode? { nil }

  /// Allocates and exports a buffer with the driver's pitches.
  ///
  /// A device has few sizes. Where it has not the one asked for, the picture is the upper left part of a larger one, in its
  /// buffer and with its pitch.
  ///
  /// - Throws: untestable `VIDIOC_S_FMT` where the driver has no such format or no such size; `VIDIOC_REQBUFS`, `VIDIOC_EXPBUF`.
  public func allocate(_ request: AllocationRequest) throws(PrimeError) -> BufferObject {
    try request.requireLinear("the memory of a video device is", operation: "VIDIOC_S_FMT", on: device.subject)
    _ = try request.packedLayout(operation: "VIDIOC_S_FMT", on: device.subject)
    var refusal: PrimeError?
    let sizes = [(width: request.width, height: request.height)] + Self.largerSizes
    for size in sizes where size.width >= request.width && size.height >= request.height {
      do throws(PrimeError) {
        return try allocate(request, as: size)
      } catch {
        guard error.isUntestable else { throw error }
        // What is said of the size asked for is the one to tell.
        refusal = refusal ?? error
      }
    }
    throw refusal ?? .untestable("VIDIOC_S_FMT", on: device.subject, reason: "it has no such size")
  }

  /// What nearly every device with several sizes has.
  private static let largerSizes = [(width: 640, height: 480), (width: 1280, height: 720), (width: 1920, height: 1080)]

  private func allocate(
    _ request: AllocationRequest, as size: (width: Int, height: Int)
  ) throws(PrimeError) -> BufferObject {
    let file = try VideoFile.open(device.path, kernel: kernel)
    // Put back behind the queue, which locks them.
    let settings = VideoSettings()
    defer { settings.restore() }
    let exporter = try VideoExporter(
      file, file.capabilities.captures ? .capture : .output, format: request.format, width: size.width,
      height: size.height, settings: settings)
    let whole = exporter.description.layout
    let layout = try PictureLayout.checked(
      format: request.format, width: request.width, height: request.height, planes: whole.planes,
      operation: "VIDIOC_S_FMT", on: file.subject)
    return BufferObject(
      adopting: try exporter.export().retold(as: BufferDescription(layout: layout, modifier: .linear)))
  }
}
