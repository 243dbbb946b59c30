internal import Prime

/// A picture that is there already, in the place of one that would be allocated.
final class GivenPicture: Sendable {
  private let picture: SharedPicture

  init(_ picture: consuming SharedPicture) { self.picture = picture }

  func told(as format: PixelFormat) -> any Allocator { View(held: self, format: format) }

  private struct View: Allocator {
    let held: GivenPicture
    let format: PixelFormat
    var kind: AllocatorKind { .heap }
    var node: DRMNode? { nil }

    func allocate(_ request: AllocationRequest) throws(PrimeError) -> BufferObject {
      let layout = try PictureLayout.checked(
        format: format, width: request.width, height: request.height, planes: held.picture.layout.planes,
        operation: "VIDIOC_S_FMT", on: "the buffer")
      return BufferObject(
        adopting: try held.picture.duplicate().retold(as: BufferDescription(layout: layout, modifier: .linear)))
    }
  }
}
