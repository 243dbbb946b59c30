internal import Glibc
internal import Prime

extension Contract {
  /// F: PRIME export (`DRM_IOCTL_PRIME_HANDLE_TO_FD`).
  static let exports: [Statement] = [
    Statement(
      "F01", .core, on: .device, "an own handle is exported with DRM_CLOEXEC and DRM_RDWR, as a dma-buf",
      source: "drm_prime.c:drm_prime_handle_to_fd_ioctl"
    ) { check in
      guard check.subject.device?.capabilities?.primeExport != false else {
        throw Statement.Stop.skipped("\(check.subject.name) exports nothing on this kernel, and says so")
      }
      let device = try check.openDevice()
      let created = check.kernel.createDumb(device, width: 64, height: 64)
      if case .failure(let errno) = created, [.notImplemented, .notSupported].contains(errno),
        check.kernel.alteredCall == nil
      {
        throw Statement.Stop.skipped("\(check.subject.name) has no dumb buffers")
      }
      let handle = try check.prepare(created).handle
      let dmaBuf = try check.expect(check.kernel.primeHandleToFD(device, handle: handle, flags: Check.exportFlags))
      check.expect("f_type", try check.expect(check.kernel.fileSystemMagic(dmaBuf)), is: FileSystemMagic.dmaBuf)
    },
    Statement(
      "F02", .core, on: .dumbDevice, "any flag beside DRM_CLOEXEC and DRM_RDWR is refused",
      source: "drm_prime.c:drm_prime_handle_to_fd_ioctl"
    ) { check in
      let device = try check.openDevice()
      let handle = try check.object(on: device)
      for flags in [UInt32(O_WRONLY), UInt32(O_NONBLOCK), Check.exportFlags | UInt32(O_APPEND), ~0] {
        check.expect(check.kernel.primeHandleToFD(device, handle: handle, flags: flags), fails: .invalidArgument)
      }
    },
    Statement(
      "F03", .core, on: .dumbDevice, "a handle that is unknown, 0 or closed is not exported",
      source: "drm_prime.c:drm_gem_prime_handle_to_dmabuf"
    ) { check in
      let device = try check.openDevice()
      let closed = try check.object(on: device)
      _ = try check.prepare(check.kernel.closeHandle(device, closed))
      for handle in [Check.nobodysHandle, 0, closed] {
        check.expect(
          check.kernel.primeHandleToFD(device, handle: handle, flags: Check.exportFlags), fails: .noSuchFile)
      }
    },
    Statement(
      "F04", .core, on: .dumbDevice, "flags are looked at before the handle",
      source: "drm_prime.c:drm_prime_handle_to_fd_ioctl"
    ) { check in
      let device = try check.openDevice()
      check.expect(
        check.kernel.primeHandleToFD(device, handle: Check.nobodysHandle, flags: UInt32(O_NONBLOCK)),
        fails: .invalidArgument)
    },
    Statement(
      "F05", .core, on: .dumbDevice, "a second export of a handle is another descriptor of the very same dma-buf",
      source: "drm_prime.c:drm_gem_prime_handle_to_dmabuf (lookup_buf_by_handle)"
    ) { check in
      let device = try check.openDevice()
      let handle = try check.object(on: device)
      let one = try check.expect(check.kernel.primeHandleToFD(device, handle: handle, flags: Check.exportFlags))
      let other = try check.expect(check.kernel.primeHandleToFD(device, handle: handle, flags: Check.exportFlags))
      check.expect("the descriptor", other != one, "another number", got: "\(other)")
      check.expect("the inode of the second", try check.inode(of: other), is: try check.inode(of: one))
      let comparison = check.kernel.compareFiles(one, other)
      // The inodes have said it already.
      if case .failure(let errno) = comparison, [.notImplemented, .notPermitted].contains(errno),
        check.kernel.alteredCall == nil
      {
        return check.note("kcmp is not to be had here (\(errno.name)), and the inodes are the same")
      }
      check.expect("kcmp", try check.expect(comparison), is: 0)
    },
    Statement(
      "F06", .core, on: .dumbDevice, "close-on-exec belongs to the descriptor, not to the dma-buf",
      source: "drm_prime.c:drm_gem_prime_handle_to_fd (get_unused_fd_flags)"
    ) { check in
      let device = try check.openDevice()
      let handle = try check.object(on: device)
      let closing = try check.prepare(
        check.kernel.primeHandleToFD(device, handle: handle, flags: PrimeFlags.closeOnExec))
      let inherited = try check.prepare(check.kernel.primeHandleToFD(device, handle: handle, flags: 0))
      check.expect(
        "FD_CLOEXEC with DRM_CLOEXEC", try check.expect(check.kernel.control(closing, F_GETFD, 0, "F_GETFD")),
        is: Int(FD_CLOEXEC))
      check.expect(
        "FD_CLOEXEC without", try check.expect(check.kernel.control(inherited, F_GETFD, 0, "F_GETFD")), is: 0)
      _ = try check.prepare(check.kernel.control(closing, F_SETFD, 0, "F_SETFD, 0"))
      _ = try check.prepare(check.kernel.control(inherited, F_SETFD, Int64(FD_CLOEXEC), "F_SETFD, FD_CLOEXEC"))
      check.expect(
        "FD_CLOEXEC where it was taken away", try check.expect(check.kernel.control(closing, F_GETFD, 0, "F_GETFD")),
        is: 0)
      check.expect(
        "FD_CLOEXEC where it was set", try check.expect(check.kernel.control(inherited, F_GETFD, 0, "F_GETFD")),
        is: Int(FD_CLOEXEC))
    },
    Statement(
      "F07", .helper, of: .surely(.shmem, .dma, .vram, .ttm), on: .dumbDevice,
      "the first export decides the access mode: without DRM_RDWR every later one is read-only too",
      source: "drm_prime.c:export_and_register_object (the object keeps its dma-buf)"
    ) { check in
      let device = try check.openDevice()
      let handle = try check.object(on: device)
      let first = try check.prepare(check.kernel.primeHandleToFD(device, handle: handle, flags: PrimeFlags.closeOnExec))
      let second = try check.prepare(check.kernel.primeHandleToFD(device, handle: handle, flags: Check.exportFlags))
      try check.expectReadOnly(second, "while the first export is open")
      _ = try check.prepare(check.kernel.close(first))
      _ = try check.prepare(check.kernel.close(second))
      let third = try check.prepare(check.kernel.primeHandleToFD(device, handle: handle, flags: Check.exportFlags))
      try check.expectReadOnly(third, "after all descriptors were closed")
    },
    Statement(
      "F08", .core, on: .dumbDevice, "with no descriptor left (RLIMIT_NOFILE) nothing is exported",
      source: "drm_prime.c:drm_gem_prime_handle_to_fd (get_unused_fd_flags)"
    ) { check in
      let device = try check.openDevice()
      let handle = try check.object(on: device)
      let answer = check.kernel.withoutFreeDescriptor {
        check.kernel.primeHandleToFD(device, handle: handle, flags: Check.exportFlags)
      }
      guard let answer else { throw Statement.Stop.broken("the limit of open files could not be lowered") }
      check.expect(answer, fails: .tooManyOpenFiles)
      try check.expect(check.kernel.primeHandleToFD(device, handle: handle, flags: Check.exportFlags))
    },
    Statement(
      "F09", .core, on: .renderDevice, "a render node imports and exports",
      source: "drm_ioctl.c (DRM_RENDER_ALLOW)"
    ) { check in
      try check.needsImport()
      let dmaBuf = try check.dumbBufferOfRenderDevice()
      let render = try check.prepare(check.kernel.open(check.renderPath, flags: O_RDWR))
      let handle = try check.expect(check.kernel.primeFDToHandle(render, dmaBuf))
      let again = try check.expect(check.kernel.primeHandleToFD(render, handle: handle, flags: Check.exportFlags))
      check.expect("the inode of the export", try check.inode(of: again), is: try check.inode(of: dmaBuf))
    },
    Statement(
      "F10", .core, on: .dumbDevice, "exporting and importing need neither master nor authentication nor root",
      needs: [.master], source: "drm_ioctl.c (DRM_RENDER_ALLOW)"
    ) { check in
      try check.needsImport()
      guard let device = check.subject.device, let primary = device.primary else { return }
      // The first opener becomes master, and with it authenticated: another one must not be the first.
      _ = try check.prepare(check.kernel.open(primary.path, flags: O_RDWR))
      try check.unprivileged {
        for node in [primary, device.render].compactMap({ $0 }) {
          let opened = try check.prepare(check.kernel.open(node.path, flags: O_RDWR))
          if node == primary { check.expect(check.kernel.setMaster(opened), fails: .permissionDenied) }
          let ordinary = node == primary ? opened : try check.prepare(check.kernel.open(primary.path, flags: O_RDWR))
          let handle = try check.object(on: ordinary)
          let dmaBuf = try check.expect(
            check.kernel.primeHandleToFD(ordinary, handle: handle, flags: Check.exportFlags))
          let imported = try check.expect(check.kernel.primeFDToHandle(opened, dmaBuf))
          let again = try check.expect(
            check.kernel.primeHandleToFD(opened, handle: imported, flags: Check.exportFlags))
          check.expect("the inode on \(node.path)", try check.inode(of: again), is: try check.inode(of: dmaBuf))
        }
      }
    },
    Statement(
      "F11", .core, on: .dumbDevice, "an export that fails leaves no descriptor behind",
      source: "drm_prime.c:drm_gem_prime_handle_to_fd (put_unused_fd)"
    ) { check in
      let device = try check.openDevice()
      let handle = try check.object(on: device)
      // A number that is taken and has no file is in no list; that the next one is the same shows that none is.
      func nextNumber() throws(Statement.Stop) -> CInt {
        let number = try check.expect(check.kernel.duplicate(device))
        _ = try check.prepare(check.kernel.close(number))
        return number
      }
      let (before, next) = (try check.expect(check.kernel.descriptors()), try nextNumber())
      check.expectFailure(
        check.kernel.primeHandleToFD(device, handle: Check.nobodysHandle, flags: Check.exportFlags))
      check.expectFailure(check.kernel.primeHandleToFD(device, handle: handle, flags: ~0))
      check.expect("the open descriptors", try check.expect(check.kernel.descriptors()), is: before)
      check.expect("the next free number", try nextNumber(), is: next)
    },
  ]
}

extension Check {
  /// The descriptor is open for reading only, and so is its memory.
  fileprivate func expectReadOnly(_ dmaBuf: CInt, _ when: String) throws(Statement.Stop) {
    let flags = try expect(kernel.control(dmaBuf, F_GETFL, 0, "F_GETFL"))
    expect("the access mode \(when)", flags & Int(O_ACCMODE), is: Int(O_RDONLY))
    let byteCount = Int(try prepare(kernel.seek(dmaBuf, 0, .end)))
    expect(kernel.map(dmaBuf, byteCount: byteCount), fails: .permissionDenied)
  }

  fileprivate var renderPath: String { subject.device?.render?.path ?? "" }

  /// A dma-buf of a dumb buffer, which only the primary node makes.
  fileprivate func dumbBufferOfRenderDevice() throws(Statement.Stop) -> CInt {
    guard let device = subject.device,
      machine.subjects(.dumbDevice).contains(where: { $0.device == device })
    else { throw .skipped("\(subject.name) has no primary node here that exports dumb buffers") }
    let primary = try openDevice()
    let handle = try object(on: primary)
    return try prepare(kernel.primeHandleToFD(primary, handle: handle, flags: Check.exportFlags))
  }
}
