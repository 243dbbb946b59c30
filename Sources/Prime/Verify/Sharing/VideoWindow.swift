internal import Prime

/// A buffer as a picture that a video device has a format for, used as a reader or writer of memory.
///
/// Where it has none of the picture's own, its rows are told to be RGB565 or XRGB8888, which a device copies as they are.
struct VideoWindow {
  /// The buffer as the device is told.
  let description: BufferDescription

  /// What rows are told to be.
  private static let told: [Fourcc] = [.xrgb8888, .rgb565]

  /// Whether both ends of a way have a format that rows can be told to have; an encoder has none.
  static func areOffered(through route: VideoRoute) -> Bool {
    guard let output = try? VideoQueue(route.reader.open(), .output).formats(),
      let capture = try? VideoQueue(route.writer.open(), .capture).formats()
    else { return true }
    return told.contains { fourcc in
      VideoFourcc.codes(of: fourcc).contains { output.contains($0) && capture.contains($0) }
    }
  }

  init(onto picture: BufferDescription, through route: VideoRoute, kernel: any KernelCalls) throws(PrimeError) {
    let output = try VideoQueue(VideoFile.open(route.reader.path, kernel: kernel), .output)
    let capture = try VideoQueue(VideoFile.open(route.writer.path, kernel: kernel), .capture)
    let offered = Set(try output.formats()).intersection(try capture.formats())
    let own = picture.layout.format
    let rowBytes = picture.layout.rowBytes(ofPlane: 0)
    for fourcc in [own.fourcc] + Self.told {
      guard let format = PixelFormat(fourcc),
        VideoFourcc.codes(of: fourcc).contains(where: { $0.memoryPlaneCount == 1 && offered.contains($0) })
      else { continue }
      guard format != own else {
        description = picture
        return
      }
      let elementBytes = format.planes[0].bytesPerElement
      guard picture.layout.planes.count == 1, rowBytes.isMultiple(of: elementBytes) else { continue }
      let layout = try PictureLayout.checked(
        format: format, width: rowBytes / elementBytes, height: picture.height, planes: picture.layout.planes,
        operation: "VIDIOC_S_FMT", on: output.subject)
      description = BufferDescription(layout: layout, modifier: picture.modifier)
      return
    }
    throw .untestable(
      "VIDIOC_ENUM_FMT", on: output.subject,
      reason: "its queues have no format in common with the bytes of \(own.fourcc), nor one that its rows could "
        + "be told to have")
  }
}
