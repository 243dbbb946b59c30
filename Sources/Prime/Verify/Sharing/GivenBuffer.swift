internal import Prime

/// A buffer that is there already, in the place of one that would be allocated.
final class GivenBuffer: Sendable {
  private let description: BufferDescription
  private let buffer: DMABuf

  init(_ description: BufferDescription, _ buffer: consuming DMABuf) {
    self.description = description
    self.buffer = buffer
  }

  func told(as format: PixelFormat) -> any Allocator { View(held: self, format: format) }

  private struct View: Allocator {
    let held: GivenBuffer
    let format: PixelFormat
    var kind: AllocatorKind { .heap }
    var node: DRMNode? { nil }

    func allocate(_ request: AllocationRequest) throws(PrimeError) -> BufferObject {
      let layout = try PictureLayout.checked(
        format: format, width: request.width, height: request.height, planes: held.description.layout.planes,
        operation: "VIDIOC_S_FMT", on: "the buffer")
      return BufferObject(
        BufferDescription(layout: layout, modifier: .linear), adopting: try held.buffer.duplicate())
    }
  }
}
