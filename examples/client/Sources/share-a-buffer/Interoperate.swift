import Glibc
import Prime

/// Describes a picture with the numbers that EGL, Vulkan, V4L2 and Wayland have for it; nil for a format that is not known.
func describe(
  fourcc: UInt32, modifier: UInt64, _ size: Size, _ planes: [PlaneLayout]
) throws -> BufferDescription? {
  guard let format = PixelFormat(Fourcc(rawValue: fourcc)) else { return nil }
  let layout = try PictureLayout(format: format, size: size, planes: planes)
  return BufferDescription(layout: layout, modifier: Modifier(rawValue: modifier))
}

/// Takes over a dma-buf that another library exported, and makes a framebuffer of it.
func adopt(_ descriptor: CInt, _ description: BufferDescription, on device: Device) throws -> Framebuffer {
  let picture = try SharedPicture(description, in: DMABuf(adopting: descriptor))
  return try picture.imported(into: device).framebuffer()
}

/// Lends a dma-buf to a call that keeps no descriptor, as `eglCreateImage` and `zwp_linux_buffer_params_v1.add`.
func lend(_ buffer: borrowing DMABuf, to call: (_ descriptor: CInt) -> Bool) -> Bool {
  buffer.withDescriptor { call($0) }
}

/// Gives a fence to a call that takes the descriptor over where it succeeds, as `vkImportSemaphoreFdKHR`.
func give(_ fence: borrowing SyncFile, to call: (_ descriptor: CInt) -> Bool) throws -> Bool {
  let descriptor = try fence.duplicate().relinquish()
  guard call(descriptor) else {
    close(descriptor)
    return false
  }
  return true
}

/// Waits for a fence that another library made, as `eglDupNativeFenceFDANDROID` and `vkGetSemaphoreFdKHR` give one.
func waitFor(_ descriptor: CInt, _ deadline: Deadline) async throws -> Bool {
  let fence = try SyncFile(adopting: descriptor)
  return try await fence.wait(deadline: deadline) == .signalled
}

/// Passes a dma-buf and its fences through descriptors, with this function in the place of the other libraries.
func passAround() async throws {
  let request = AllocationRequest(format: .xrgb8888, size: Size(width: 64, height: 64))
  let buffer = try UDMABufAllocator().allocate(request).export(.readWrite).takeFirst()
  let same = try DMABuf(adopting: buffer.withDescriptor { dup($0) })
  let fence = try buffer.exportSyncFile(for: .write)
  let isGiven = try give(fence) { close($0) == 0 }
  let isOver = try await waitFor(fence.relinquish(), Deadline(in: .seconds(5)))
  print("same buffer \(same.identity == buffer.identity), given \(isGiven), over \(isOver)")
}
