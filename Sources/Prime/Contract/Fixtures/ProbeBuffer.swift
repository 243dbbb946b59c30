internal import Glibc
internal import Prime

/// A small buffer that a statement looks at, as plain numbers; the probe gives everything back.
package struct ProbeBuffer: Hashable, Sendable {
  /// The open node it was made on: a device's, `/dev/udmabuf` or the heap's.
  package var node: CInt
  /// Its GEM handle on that node, nil for memory of no device.
  package var handle: UInt32?
  /// The dma-buf, open for reading and writing.
  package var dmaBuf: CInt
  /// The memfd behind a udmabuf.
  package var memory: CInt?
  /// Pixels in a row.
  package var width: UInt32
  /// Rows.
  package var height: UInt32
  /// Bytes from one row to the next.
  package var pitch: UInt32
  /// Bytes of the whole buffer, as it was asked for or as the kernel rounded it.
  package var byteCount: Int

  /// A buffer of 32 bits a pixel on an exporter, exported close-on-exec for reading and writing.
  ///
  /// The default is four pages, so that pages can be told apart, and large enough for every display of the lab.
  static func make(
    _ exporter: Subject.Exporter, with kernel: KernelProbe, width: UInt32 = 64, height: UInt32 = 64,
    flags: UInt32 = PrimeFlags.closeOnExec | PrimeFlags.readWrite
  ) -> CallResult<ProbeBuffer> {
    let pitch = (width * 4 + 255) & ~255
    let page = PageMarks.pageSize
    let byteCount = (Int(pitch) * Int(height) + page - 1) & ~(page - 1)
    switch exporter {
    case .dumb(let device):
      guard let path = device.primary?.path else { return .failure(.noSuchDevice) }
      return kernel.openDevice(path).flatMap { node in
        kernel.createDumb(node, width: width, height: height).flatMap { layout in
          kernel.primeHandleToFD(node, handle: layout.handle, flags: flags).map { dmaBuf in
            ProbeBuffer(
              node: node, handle: layout.handle, dmaBuf: dmaBuf, width: width, height: height, pitch: layout.pitch,
              // The DMA helper tells bytes, while objects and dma-bufs are whole pages.
              byteCount: (Int(layout.byteCount) + page - 1) & ~(page - 1))
          }
        }
      }
    case .udmabuf:
      return kernel.open("/dev/udmabuf", flags: O_RDWR).flatMap { node in
        // udmabuf takes no memory that could go away.
        kernel.createMemory(byteCount: Int64(byteCount), seals: MemorySeals.shrink).flatMap { memory in
          kernel.createUDMABuf(node, memory: memory, byteCount: UInt64(byteCount)).map { dmaBuf in
            ProbeBuffer(
              node: node, dmaBuf: dmaBuf, memory: memory, width: width, height: height, pitch: pitch,
              byteCount: byteCount)
          }
        }
      }
    case .heap:
      return kernel.open("/dev/dma_heap/system", flags: O_RDWR).flatMap { node in
        kernel.allocateFromHeap(node, byteCount: UInt64(byteCount)).map { dmaBuf in
          ProbeBuffer(node: node, dmaBuf: dmaBuf, width: width, height: height, pitch: pitch, byteCount: byteCount)
        }
      }
    }
  }
}

extension KernelProbe {
  /// Opens a primary node without staying its master: the first opener becomes it without asking.
  func openDevice(_ path: String) -> CallResult<CInt> {
    let opened = open(path, flags: O_RDWR)
    // Not a part of what the statement looks at, so it is not recorded.
    if case .success(let descriptor) = opened, unrecorded.isMaster(descriptor) {
      _ = unrecorded.dropMaster(descriptor)
    }
    return opened
  }

  /// Whether `AddFB2` makes a framebuffer of it, which is removed again.
  func takesFramebuffer(_ device: CInt, handle: UInt32, of buffer: ProbeBuffer, as fourcc: UInt32) -> Bool {
    let framebuffer = unrecorded.kmsAddFramebuffer(
      device,
      KMSFramebufferRequest(
        width: buffer.width, height: buffer.height, fourcc: fourcc, modifier: nil,
        planes: [GBMPlane(handle: handle, offset: 0, pitch: buffer.pitch)]))
    guard case .success(let id) = framebuffer else { return false }
    _ = unrecorded.kmsRemoveFramebuffer(device, id: id)
    return true
  }

  /// `DRM_FORMAT_XRGB8888`, which nearly every display shows (`Check.pictureFormat`).
  static let xrgb8888: UInt32 = 0x3432_5258
}
