internal import CProbe
internal import Glibc
package import Prime

/// The ioctls of `linux/dma-buf.h`, `linux/sync_file.h`, `linux/udmabuf.h` and `linux/dma-heap.h`.
extension IoctlRequest {
  package static let dmaBufSync = write("b", 0, "DMA_BUF_IOCTL_SYNC")
  package static let dmaBufSetNameA = write("b", 1, "DMA_BUF_SET_NAME_A")
  package static let dmaBufSetNameB = write("b", 1, "DMA_BUF_SET_NAME_B")
  package static let dmaBufExportSyncFile = readWrite("b", 2, "DMA_BUF_IOCTL_EXPORT_SYNC_FILE")
  package static let dmaBufImportSyncFile = write("b", 3, "DMA_BUF_IOCTL_IMPORT_SYNC_FILE")
  package static let syncMerge = readWrite(">", 3, "SYNC_IOC_MERGE")
  package static let syncFileInfo = readWrite(">", 4, "SYNC_IOC_FILE_INFO")
  package static let udmabufCreate = write("u", 0x42, "UDMABUF_CREATE")
  package static let dmaHeapAllocate = readWrite("H", 0, "DMA_HEAP_IOCTL_ALLOC")
}

extension KernelProbe {
  /// `DMA_BUF_IOCTL_SYNC`.
  package func sync(_ dmaBuf: CInt, _ flags: UInt64, restarting: Bool = true) -> CallResult<Int> {
    ioctl(dmaBuf, .dmaBufSync, .quad(flags), restarting: restarting, "0x\(hexadecimal(flags, digits: 1))") {
      $0.returned
    }
  }

  /// `DMA_BUF_SET_NAME_B`, or the older number for the same (`DMA_BUF_SET_NAME_A`).
  package func setName(_ dmaBuf: CInt, _ name: String, older: Bool = false) -> CallResult<Int> {
    // The argument is the text's address itself.
    ioctl(dmaBuf, older ? .dmaBufSetNameA : .dmaBufSetNameB, byteCount: older ? 4 : 8, at: memory(name).address)
  }

  /// `DMA_BUF_IOCTL_EXPORT_SYNC_FILE`: the sync_file that a reader or writer has to wait for.
  package func exportSyncFile(_ dmaBuf: CInt, flags: UInt32) -> CallResult<CInt> {
    adopting(
      ioctl(dmaBuf, .dmaBufExportSyncFile, [flags, UInt32(bitPattern: -1)], "flags \(flags)") { $0.descriptor(1) })
  }

  /// `DMA_BUF_IOCTL_IMPORT_SYNC_FILE`.
  package func importSyncFile(_ dmaBuf: CInt, flags: UInt32, syncFile: CInt) -> CallResult<Int> {
    ioctl(dmaBuf, .dmaBufImportSyncFile, [flags, UInt32(bitPattern: syncFile)], "flags \(flags), \(syncFile)") {
      $0.returned
    }
  }

  /// `SYNC_IOC_MERGE`: a third sync_file that is signalled when both are.
  package func merge(_ syncFile: CInt, _ other: CInt, flags: UInt32 = 0, pad: UInt32 = 0) -> CallResult<CInt> {
    let name = [UInt32](repeating: 0, count: 8)
    return adopting(
      ioctl(
        syncFile, .syncMerge, name + [UInt32(bitPattern: other), UInt32(bitPattern: -1), flags, pad], "\(other)"
      ) { $0.descriptor(9) })
  }

  /// `UDMABUF_CREATE`; flag 1 is `UDMABUF_FLAGS_CLOEXEC`.
  package func createUDMABuf(
    _ node: CInt, memory: CInt, flags: UInt32 = 1, offset: UInt64 = 0, byteCount: UInt64
  ) -> CallResult<CInt> {
    adopting(
      ioctl(
        node, .udmabufCreate, [UInt32(bitPattern: memory), flags] + .quad(offset) + .quad(byteCount),
        "memfd \(memory), flags \(flags), \(byteCount) bytes at \(offset)"
      ) { CInt($0.returned) })
  }

  /// `DMA_HEAP_IOCTL_ALLOC`; `descriptor` must be 0 for the kernel, `descriptorFlags` are of `open(2)`.
  package func allocateFromHeap(
    _ heap: CInt, byteCount: UInt64, descriptor: UInt32 = 0, descriptorFlags: UInt32 = UInt32(O_CLOEXEC | O_RDWR),
    heapFlags: UInt64 = 0
  ) -> CallResult<CInt> {
    adopting(
      ioctl(
        heap, .dmaHeapAllocate, .quad(byteCount) + [descriptor, descriptorFlags] + .quad(heapFlags),
        "\(byteCount) bytes, fd_flags 0x\(hexadecimal(UInt64(descriptorFlags), digits: 1))"
      ) { $0.descriptor(2) })
  }
}
