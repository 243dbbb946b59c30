internal import Glibc
internal import Prime

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
      "O02", .core, on: .removableDisplay,
      "mappings of its buffers, and of their dma-bufs, can still be used, whatever they hold",
      needs: [.root, .alone], source: "drm-uapi.rst \"Device Hot-Unplug\""
    ) { check in
      let kernel = check.kernel
      let device = try check.openDevice()
      let layout = try check.prepare(kernel.createDumb(device, width: 64, height: 64))
      let offset = try check.prepare(kernel.mapDumb(device, handle: layout.handle))
      let mapping = try check.prepare(kernel.map(device, byteCount: Int(layout.byteCount), offset: offset))
      var mappings = [("the device", mapping)]
      // Not every display exports, and not every dma-buf can be mapped.
      if case .success(let dmaBuf) = kernel.primeHandleToFD(device, handle: layout.handle, flags: Check.exportFlags),
        case .success(let shared) = kernel.map(dmaBuf, byteCount: Int(layout.byteCount))
      {
        mappings.append(("the dma-buf", shared))
      } else {
        check.note("\(check.subject.name) makes no dma-buf that can be mapped, so only its own mapping was looked at")
      }
      for (_, mapping) in mappings { _ = kernel.byte(of: mapping, at: 0) }
      try check.whileUnplugged {
        for (name, mapping) in mappings {
          // A page that was never looked at has to be found now; SIGBUS would end the statement as its failure.
          kernel.write([1], to: mapping, at: Int(layout.byteCount) - 1)
          let seen = kernel.bytes(of: mapping, at: 0, count: 16)
          check.expect("how many bytes can be read through a mapping of \(name)", seen.count, is: 16)
        }
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
        let mapped = kernel.map(buffer.dmaBuf, byteCount: buffer.byteCount)
        check.expectCleanRefusal(mapped, "the mapping")
        if case .success(let mapping) = mapped {
          check.expect("how many bytes can be read", kernel.bytes(of: mapping, at: 0, count: 16).count, is: 16)
        }
        guard let importer else { return }
        let imported = kernel.primeFDToHandle(importer, buffer.dmaBuf)
        check.expectCleanRefusal(imported, "the import elsewhere")
        guard case .success(let handle) = imported else { return }
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
      var nodes = [(path, device)]
      if let render = check.machine.openableRenderNode(of: check.subject.device)?.path {
        nodes.append((render, try check.prepare(kernel.open(render, flags: O_RDWR))))
      }
      var numbers: [DeviceNumber] = []
      for (path, node) in nodes {
        guard let number = try check.prepare(kernel.status(node)).characterDevice else {
          throw Statement.Stop.broken("\(path) is no device node")
        }
        numbers.append(number)
      }
      try check.whileUnplugged {
        for (path, _) in nodes { check.expect(kernel.open(path, flags: O_RDWR), fails: .noSuchFile) }
        for number in numbers {
          check.expect(kernel.openDeviceNumber(number), fails: .noSuchDevice, .noSuchAddress)
        }
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
        let left = DMABufList.stillListed(
          of: [inode], by: kernel.unrecorded, deadline: Deadline(in: .seconds(5), on: kernel.unrecorded))
        // An unreadable list says nothing of what is on it.
        let count: CallResult<Int> = kernel.call("bufinfo", "inode \(inode)") {
          left.map { .success($0.count) } ?? .failure(.noSuchFile)
        }
        check.expect("how often the kernel still lists the dma-buf", try check.expect(count), is: 0)
      }
    },
  ]
}

extension Check {
  /// Where a call fails, it is with an errno that drivers refuse with, and not with one that tells of damage.
  fileprivate func expectCleanRefusal<Value: ProbeValue>(_ answer: CallResult<Value>, _ what: String) {
    guard case .failure(let errno) = answer else { return }
    let clean: [Errno] = [
      .invalidArgument, .noSuchDevice, .noSuchAddress, .notImplemented, .notSupported, .noMemory, .busy, .inputOutput,
    ]
    expect(
      what, clean.contains(errno), "success or one of \(clean.map(\.name).joined(separator: ", "))", got: errno.name)
  }
}
