/// Why a video queue refuses a buffer, as far as the errno and the sizes tell.
enum VideoRefusal {
  /// Of `VIDIOC_REQBUFS`.
  static func ofRequest(_ errno: Errno, _ memory: VideoMemory) -> String? {
    switch (errno, memory) {
    case (.invalidArgument, .dmaBuf): "this queue takes no dma-bufs of others (V4L2_MEMORY_DMABUF)"
    case (.invalidArgument, .driver): "this queue has no memory of its own that can be mapped (V4L2_MEMORY_MMAP)"
    case (.busy, _): "another program has the queue, or the buffers of this one are still mapped"
    default: nil
    }
  }

  /// Of `VIDIOC_QBUF`; nil where there is nothing to say beyond the errno.
  static func ofBuffer(_ errno: Errno, _ format: VideoFormat, byteCounts: [Int]) -> String? {
    guard !byteCounts.isEmpty else { return nil }
    switch errno {
    case .badAddress:
      // vb2_dc_map_dmabuf (videobuf2-dma-contig.c), and vb2_vmalloc_map_dmabuf, whose device the processor serves.
      return "a device without an IOMMU takes memory in one piece only, and this buffer is scattered: take one from a "
        + "contiguous dma-heap (linux,cma), or from the device itself; a device that the processor serves says the same of a "
        + "buffer that the kernel cannot map"
    case .invalidArgument:
      for (plane, (memory, byteCount)) in zip(format.memoryPlanes, byteCounts).enumerated()
      where byteCount < memory.byteCount {
        return
          "the dma-buf of memory plane \(plane) has \(byteCount) bytes and \(format) needs \(memory.byteCount) on this "
          + "device: take a larger buffer"
      }
      guard byteCounts.count >= format.memoryPlanes.count else {
        return "\(format) lies in \(format.memoryPlanes.count) buffers and \(byteCounts.count) were given"
      }
      return "the driver or the exporter refused to attach the buffer"
    default: return nil
    }
  }
}
