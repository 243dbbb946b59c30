internal import Glibc

extension Contract {
  /// O: a device that is pulled out while somebody uses it.
  static let hotUnplug: [Statement] = [
    Statement(
      "O01", .core, on: .removableDisplay, "once it is gone, every call on its open file says so",
      needs: [.root, .alone], source: "drm_ioctl.c (drm_dev_is_unplugged); drm_gem.c:drm_gem_mmap"
    ) { check in
      let kernel = check.kernel
      let device = try check.openDevice()
      let layout = try check.prepare(kernel.createDumb(device, width: 64, height: 64))
      let offset = try check.prepare(kernel.mapDumb(device, handle: layout.handle))
      let stranger = try check.bufferOfAnother()
      try check.whileUnplugged {
        check.expect(kernel.capability(device, 1), fails: .noSuchDevice)
        check.expect(kernel.createDumb(device, width: 64, height: 64), fails: .noSuchDevice)
        check.expect(kernel.map(device, byteCount: Int(layout.byteCount), offset: offset), fails: .noSuchDevice)
        check.expect(
          kernel.primeHandleToFD(device, handle: layout.handle, flags: Check.exportFlags), fails: .noSuchDevice)
        check.expect(kernel.primeFDToHandle(device, stranger.dmaBuf), fails: .noSuchDevice)
        check.expect(kernel.closeHandle(device, layout.handle), fails: .noSuchDevice)
      }
    },
    Statement(
      "O02", .core, on: .removableDisplay, "mappings of its buffers can still be read and written, whatever they hold",
      needs: [.root, .alone], source: "drm-uapi.rst \"Device Hot-Unplug\""
    ) { check in
      let kernel = check.kernel
      let device = try check.openDevice()
      let layout = try check.prepare(kernel.createDumb(device, width: 64, height: 64))
      let offset = try check.prepare(kernel.mapDumb(device, handle: layout.handle))
      let mapping = try check.prepare(kernel.map(device, byteCount: Int(layout.byteCount), offset: offset))
      _ = kernel.byte(of: mapping, at: 0)
      try check.whileUnplugged {
        // A page that was never looked at has to be found now; SIGBUS would end the statement as its failure.
        kernel.write([1], to: mapping, at: Int(layout.byteCount) - 1)
        let seen = kernel.bytes(of: mapping, at: 0, count: 16)
        check.expect("how many bytes can be read", seen.count, is: 16)
      }
    },
    Statement(
      "O03", .core, on: .removableDisplay, "a dma-buf that it exported before lives on, and others may look at it",
      needs: [.root, .alone], source: "drm-uapi.rst \"Device Hot-Unplug\""
    ) { check in
      let kernel = check.kernel
      let buffer = try check.bufferOfItsOwn()
      let importer = try check.openOther()
      try check.whileUnplugged {
        check.expect("its size", try check.expect(kernel.seek(buffer.dmaBuf, 0, .end)), is: Int64(buffer.byteCount))
        check.expectSuccess(kernel.sync(buffer.dmaBuf, SyncFlags.read))
        check.expectSuccess(kernel.sync(buffer.dmaBuf, SyncFlags.read | SyncFlags.end))
        // Whether it can be mapped is its driver's affair; it must not hang or crash.
        if case .success(let mapping) = kernel.map(buffer.dmaBuf, byteCount: buffer.byteCount) {
          check.expect("how many bytes can be read", kernel.bytes(of: mapping, at: 0, count: 16).count, is: 16)
        }
        guard let importer, case .success(let handle) = kernel.primeFDToHandle(importer, buffer.dmaBuf) else { return }
        check.expectSuccess(kernel.closeHandle(importer, handle))
      }
    },
    Statement(
      "O04", .core, on: .removableDisplay, "its nodes are gone, and opening the old device number fails",
      needs: [.root, .alone],
      source: "drm_drv.c:drm_minor_acquire; drm-uapi.rst says ENXIO where the kernel says ENODEV"
    ) { check in
      let kernel = check.kernel
      guard let path = check.subject.device?.primary?.path else { return }
      let device = try check.openDevice()
      let number = try check.prepare(kernel.status(device)).characterDevice
      guard let number else { throw Statement.Stop.broken("\(path) is no device node") }
      try check.whileUnplugged {
        check.expect(kernel.open(path, flags: O_RDWR), fails: .noSuchFile)
        check.expect(kernel.openDeviceNumber(number), fails: .noSuchDevice, .noSuchAddress)
      }
    },
    Statement(
      "O05", .core, on: .removableDisplay, "buffers of others that it had taken are unharmed",
      needs: [.root, .alone], source: "dma-buf lifetime rules: an attachment is no owner"
    ) { check in
      let kernel = check.kernel
      let device = try check.openDevice()
      let stranger = try check.bufferOfAnother()
      let handle = kernel.primeFDToHandle(device, stranger.dmaBuf)
      if case .failure = handle, kernel.alteredCall == nil {
        throw Statement.Stop.skipped("\(check.subject.name) takes no buffer of others")
      }
      let marks = check.marks(of: stranger)
      try check.write(marks, to: stranger)
      try check.whileUnplugged {
        try check.expect(marks, throughNewMappingOf: stranger.dmaBuf, byteCount: stranger.byteCount)
      }
    },
    Statement(
      "O06", .core, on: .removableDisplay, "closing its file works and frees everything",
      needs: [.root, .alone, .debugfs], source: "drm-uapi.rst \"Device Hot-Unplug\""
    ) { check in
      let kernel = check.kernel
      let buffer = try check.bufferOfItsOwn()
      let inode = try check.prepare(kernel.status(buffer.dmaBuf)).inode
      try check.whileUnplugged {
        check.expectSuccess(kernel.close(buffer.dmaBuf))
        check.expectSuccess(kernel.close(buffer.node))
        let left = DMABufList.stillListed(of: [inode], deadline: Deadline(in: .seconds(5)))
        // An unreadable list says nothing of what is on it.
        let count: CallResult<Int> = kernel.call("bufinfo", "inode \(inode)") {
          left.map { .success($0.count) } ?? .failure(.noSuchFile)
        }
        check.expect("how often the kernel still lists the dma-buf", try check.expect(count), is: 0)
      }
    },
  ]
}
