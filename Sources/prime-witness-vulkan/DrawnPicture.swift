internal import CVulkan
import Prime

/// A linear image that the device draws into and others get as a dma-buf.
final class DrawnPicture {
  private let device: VulkanDevice
  private let image: VulkanImage
  private let memory: VulkanMemory
  private let ownImage: VulkanImage
  private let ownMemory: VulkanMemory
  /// Where the picture lies in the dma-buf.
  let layout: PictureLayout

  /// Makes the image, and one of the device's own that is drawn from.
  init(_ request: AllocationRequest, on device: VulkanDevice) throws(PrimeError) {
    guard device.draws else {
      throw .untestable("vkCmdBlitImage", on: device.name, reason: "this device has no queue that draws")
    }
    self.device = device
    let fourcc = request.format.fourcc
    image = try VulkanImage.forOthers(fourcc, width: request.width, height: request.height, on: device)
    memory = try VulkanMemory.forOthers(image, of: device)
    // Safe: image and memory are of this device.
    try device.check(unsafe cvk_bind_image(&device.calls, image.handle, memory.handle))
    ownImage = try VulkanImage.own(
      VulkanFormat.format(of: fourcc), width: request.width, height: request.height, on: device)
    ownMemory = try VulkanMemory.own(ownImage.needs, of: device)
    // Safe: as above.
    try device.check(unsafe cvk_bind_image(&device.calls, ownImage.handle, ownMemory.handle))
    do throws(LayoutError) {
      layout = try PictureLayout(
        format: request.format, width: request.width, height: request.height, planes: [image.place()])
    } catch {
      throw .untestable("vkGetImageSubresourceLayout", on: device.name, reason: "\(error)")
    }
  }

  /// The dma-buf, which the caller owns.
  func export() throws(PrimeError) -> DMABuf { try memory.export() }

  /// Draws the picture that a layout finds in some bytes, and waits until that is done.
  ///
  /// - Parameter buffer: The dma-buf, whose fences are minded.
  func draw(_ bytes: Span<UInt8>, _ picture: PictureLayout, into buffer: borrowing DMABuf) throws(PrimeError) {
    let copy = try HostCopy(for: picture, on: device)
    copy.read(from: bytes, picture)
    let work = try VulkanWork(on: device)
    // Safe: the command buffer records; copy and images have as many pixels as the picture.
    unsafe cvk_draw(
      &device.calls, work.commands, copy.buffer.handle, ownImage.handle, image.handle, UInt32(picture.width),
      UInt32(picture.height))
    try work.finish(on: buffer, as: .write)
  }
}
