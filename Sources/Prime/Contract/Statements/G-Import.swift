internal import Glibc
internal import Prime

extension Contract {
  /// G: PRIME import (`DRM_IOCTL_PRIME_FD_TO_HANDLE`) and handles.
  static let imports: [Statement] = importArguments + importIdentity + importRefusals + importReach

  private static let importArguments: [Statement] = [
    Statement(
      "G01", .core, on: .dumbDevice, "a descriptor that is -1 or closed is not imported",
      source: "dma-buf.c:dma_buf_get"
    ) { check in
      try check.needsImport()
      let buffer = try check.buffer()
      let closed = try check.prepare(check.kernel.duplicate(buffer.dmaBuf))
      _ = try check.prepare(check.kernel.close(closed))
      check.expect(check.kernel.primeFDToHandle(buffer.node, -1), fails: .badDescriptor)
      check.expect(check.kernel.primeFDToHandle(buffer.node, closed), fails: .badDescriptor)
    },
    Statement(
      "G02", .core, on: .dumbDevice, "a descriptor that is no dma-buf is not imported",
      source: "dma-buf.c:dma_buf_get (is_dma_buf_file)"
    ) { check in
      try check.needsImport()
      let device = try check.openDevice()
      let null = try check.prepare(check.kernel.open("/dev/null", flags: O_RDWR))
      let memory = try check.prepare(check.kernel.createMemory(byteCount: 16384, seals: 0))
      for descriptor in [null, memory, device] {
        check.expect(check.kernel.primeFDToHandle(device, descriptor), fails: .invalidArgument)
      }
    },
    Statement(
      "G03", .core, on: .dumbDevice, "the flags of an import are ignored",
      source: "drm_prime.c:drm_prime_fd_to_handle_ioctl"
    ) { check in
      try check.needsImport()
      let buffer = try check.buffer()
      let device = try check.openDevice()
      let plain = try check.expect(check.kernel.primeFDToHandle(device, buffer.dmaBuf))
      check.expect(
        "the handle with all flags", try check.expect(check.kernel.primeFDToHandle(device, buffer.dmaBuf, flags: ~0)),
        is: plain)
    },
    Statement(
      "G09", .core, on: .dumbDevice, "a handle is closed once; twice, 0 and an unknown one are refused",
      source: "drm_gem.c:drm_gem_handle_delete"
    ) { check in
      let device = try check.openDevice()
      let handle = try check.object(on: device)
      try check.expect(check.kernel.closeHandle(device, handle))
      for nobodys in [handle, 0, Check.nobodysHandle] {
        check.expect(check.kernel.closeHandle(device, nobodys), fails: .invalidArgument)
      }
    },
    Statement(
      "G19", .core, on: .dumbDevice, "a handle means nothing in another open file of the same device",
      source: "drm_gem.c:drm_gem_object_lookup"
    ) { check in
      let device = try check.openDevice()
      let other = try check.openDevice()
      let handle = try check.object(on: device)
      check.expect(
        check.kernel.primeHandleToFD(other, handle: handle, flags: Check.exportFlags), fails: .noSuchFile)
      check.expect(check.kernel.closeHandle(other, handle), fails: .invalidArgument)
      try check.expect(check.kernel.primeHandleToFD(device, handle: handle, flags: Check.exportFlags))
    },
  ]

  private static let importIdentity: [Statement] = [
    Statement(
      "G04", .core, on: .dumbDevice, "importing into the exporting open file gives the original handle",
      source: "drm_prime.c:drm_gem_prime_fd_to_handle (drm_prime_lookup_buf_handle)"
    ) { check in
      try check.needsImport()
      let buffer = try check.buffer()
      let handle = try check.expect(check.kernel.primeFDToHandle(buffer.node, buffer.dmaBuf))
      check.expect("the handle", handle, is: buffer.handle ?? 0)
    },
    Statement(
      "G05", .core, on: .dumbDevice, "a descriptor that was duplicated or sent gives the same handle",
      source: "drm_prime.c:drm_gem_prime_fd_to_handle (the lookup is by dma-buf)"
    ) { check in
      try check.needsImport()
      let buffer = try check.buffer()
      let device = try check.openDevice()
      let handle = try check.expect(check.kernel.primeFDToHandle(device, buffer.dmaBuf))
      let duplicate = try check.prepare(check.kernel.duplicate(buffer.dmaBuf))
      let sent = try check.prepare(check.kernel.passThroughSocket(buffer.dmaBuf))
      check.expect(
        "the handle of a duplicate", try check.expect(check.kernel.primeFDToHandle(device, duplicate)), is: handle)
      check.expect(
        "the handle of one that was sent", try check.expect(check.kernel.primeFDToHandle(device, sent)), is: handle)
    },
    Statement(
      "G06", .core, on: .dumbDevice, "another open file of the exporting device imports the very same object",
      source: "drm_prime.c:drm_gem_prime_import_dev (self import)"
    ) { check in
      try check.needsImport()
      let buffer = try check.buffer()
      let device = try check.openDevice()
      let handle = try check.expect(check.kernel.primeFDToHandle(device, buffer.dmaBuf))
      // The offset belongs to the object, and a foreign import has none at all.
      let own = try check.prepare(check.kernel.mapDumb(buffer.node, handle: buffer.handle ?? 0))
      check.expect(
        "the object's mmap offset", try check.expect(check.kernel.mapDumb(device, handle: handle)), is: own)
      let again = try check.expect(check.kernel.primeHandleToFD(device, handle: handle, flags: Check.exportFlags))
      check.expect("the inode of its export", try check.inode(of: again), is: try check.inode(of: buffer.dmaBuf))
    },
    Statement(
      "G07", .core, on: .sharingPair,
      "importing twice gives one handle that nobody counts: one GEM_CLOSE ends it for all in that file",
      source: "drm.h (DRM_IOCTL_PRIME_FD_TO_HANDLE); drm_gem.c:drm_gem_handle_delete"
    ) { check in
      let buffer = try check.takenBuffer()
      let device = try check.openDevice()
      let handle = try check.expect(check.kernel.primeFDToHandle(device, buffer.dmaBuf))
      check.expect(
        "the handle of the second import", try check.expect(check.kernel.primeFDToHandle(device, buffer.dmaBuf)),
        is: handle)
      try check.expect(check.kernel.closeHandle(device, handle))
      check.expect(check.kernel.closeHandle(device, handle), fails: .invalidArgument)
      check.expect(
        check.kernel.primeHandleToFD(device, handle: handle, flags: Check.exportFlags), fails: .noSuchFile)
    },
    Statement(
      "G08", .core, on: .sharingPair, "what the importer exports again is the exporter's own dma-buf",
      source: "drm_prime.c:drm_gem_prime_handle_to_dmabuf (the original imported object)"
    ) { check in
      let buffer = try check.takenBuffer()
      let device = try check.openDevice()
      let handle = try check.expect(check.kernel.primeFDToHandle(device, buffer.dmaBuf))
      let again = try check.expect(check.kernel.primeHandleToFD(device, handle: handle, flags: Check.exportFlags))
      check.expect("the inode", try check.inode(of: again), is: try check.inode(of: buffer.dmaBuf))
    },
    Statement(
      "G10", .core, on: .sharingPair, "after GEM_CLOSE the same dma-buf can be imported again",
      source: "drm_prime.c:drm_gem_prime_fd_to_handle"
    ) { check in
      let buffer = try check.takenBuffer()
      let device = try check.openDevice()
      let handle = try check.expect(check.kernel.primeFDToHandle(device, buffer.dmaBuf))
      try check.expect(check.kernel.closeHandle(device, handle))
      let second = try check.expect(check.kernel.primeFDToHandle(device, buffer.dmaBuf))
      let again = try check.expect(check.kernel.primeHandleToFD(device, handle: second, flags: Check.exportFlags))
      check.expect("the inode", try check.inode(of: again), is: try check.inode(of: buffer.dmaBuf))
    },
    Statement(
      "G17", .core, on: .sharingPair, "an import holds the dma-buf: closing the descriptor leaves the handle usable",
      source: "drm_prime.c:drm_gem_prime_import_dev (get_dma_buf)"
    ) { check in
      let buffer = try check.takenBuffer()
      let device = try check.openDevice()
      let inode = try check.inode(of: buffer.dmaBuf)
      let handle = try check.expect(check.kernel.primeFDToHandle(device, buffer.dmaBuf))
      // The exporter's own file goes too, so that nobody but the importer is left.
      _ = try check.prepare(check.kernel.close(buffer.dmaBuf))
      _ = try check.prepare(check.kernel.close(buffer.node))
      let again = try check.expect(check.kernel.primeHandleToFD(device, handle: handle, flags: Check.exportFlags))
      check.expect("the inode", try check.inode(of: again), is: inode)
    },
    Statement(
      "G18", .helper, of: .surely(.shmem, .dma, .vram), on: .shownPair,
      "an imported object is as large as the dma-buf: it holds so many rows and not one more",
      source: "drm_prime.c:drm_gem_prime_import_dev (import_sg_table); drm_gem_framebuffer_helper.c"
    ) { check in
      let buffer = try check.takenBuffer()
      let device = try check.openDevice()
      let byteCount = UInt32(try check.prepare(check.kernel.seek(buffer.dmaBuf, 0, .end)))
      let handle = try check.expect(check.kernel.primeFDToHandle(device, buffer.dmaBuf))
      let rows = byteCount / buffer.pitch
      let format = try check.pictureFormat()
      func framebuffer(of height: UInt32) -> CallResult<UInt32> {
        check.kernel.addFramebuffer(
          device,
          ProbeFramebuffer(
            width: buffer.pitch / 4, height: height, fourcc: format, handle: handle, pitch: buffer.pitch))
      }
      try check.expect(framebuffer(of: rows))
      check.expect(framebuffer(of: rows + 1), fails: .invalidArgument)
    },
  ]
}
