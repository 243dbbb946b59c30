internal import CVulkan
import Prime

/// A picture in memory that device and processor both have, its rows one right behind the other.
///
/// Safe to hold: the memory stays mapped until it is freed, with this object.
@safe final class HostCopy {
  let buffer: VulkanBuffer
  private let memory: VulkanMemory
  private let address: UnsafeMutableRawPointer
  let rowBytes: Int
  let rows: Int

  /// Makes room for a picture.
  init(for picture: PictureLayout, on device: VulkanDevice) throws(PrimeError) {
    rowBytes = picture.rowBytes(ofPlane: 0)
    rows = picture.height
    let usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT.rawValue | VK_BUFFER_USAGE_TRANSFER_DST_BIT.rawValue
    let buffer = try VulkanBuffer(
      rowBytes * rows, for: VkBufferUsageFlagBits(usage), isShared: false, on: device)
    let memory = try VulkanMemory.shownToHost(buffer.needs, of: device)
    // Safe: buffer and memory are of this device.
    try device.check(unsafe cvk_bind_buffer(&device.calls, buffer.handle, memory.handle))
    var address: UnsafeMutableRawPointer?
    // Safe: the call fills the one pointer.
    try device.check(unsafe cvk_map(&device.calls, memory.handle, &address))
    guard let address = unsafe address else {
      throw .untestable("vkMapMemory", on: device.name, reason: "the memory has no address")
    }
    unsafe self.address = address
    self.buffer = buffer
    self.memory = memory
  }

  /// Puts its rows where a layout says.
  func write(to bytes: inout MutableSpan<UInt8>, _ layout: PictureLayout) {
    // Safe: the memory is at least this large, and the device has done its work.
    let copy = unsafe Span<UInt8>(_unsafeStart: address.assumingMemoryBound(to: UInt8.self), count: rowBytes * rows)
    for y in 0..<rows {
      let start = layout.planes[0].offset + y * layout.planes[0].pitch
      for x in 0..<rowBytes { bytes[start + x] = copy[y * rowBytes + x] }
    }
  }

  /// Takes its rows from where a layout says.
  func read(from bytes: Span<UInt8>, _ layout: PictureLayout) {
    // Safe: the memory is at least this large, and the device does not work yet.
    var copy = unsafe MutableSpan<UInt8>(
      _unsafeStart: address.assumingMemoryBound(to: UInt8.self), count: rowBytes * rows)
    for y in 0..<rows {
      let start = layout.planes[0].offset + y * layout.planes[0].pitch
      for x in 0..<rowBytes { copy[y * rowBytes + x] = bytes[start + x] }
    }
  }
}
