internal import Glibc
internal import Prime

extension Contract {
  /// I: dumb buffers.
  static let dumbBuffers: [Statement] = dumbMappings + dumbBufferCalls

  /// Where dumb buffers may be mapped. (I04 to I07 are about making and destroying them.)
  private static let dumbMappings: [Statement] = [
    Statement(
      "I01", .helper, of: .only(.shmem, .dma), on: .sharingPair,
      "a buffer of another device's has no mapping on the importer",
      // Drivers with a function of their own (drm_driver.dumb_map_offset) give an offset, and refuse the fault (ttm_bo_vm.c).
      source: "drm_gem.c:drm_gem_dumb_map_offset (\"Don't allow imported objects to be mapped\")"
    ) { check in
      let buffer = try check.takenBuffer()
      let importer = try check.openDevice()
      let handle = try check.prepare(check.kernel.primeFDToHandle(importer, buffer.dmaBuf))
      let answer = check.kernel.mapDumb(importer, handle: handle)
      if case .failure(.notImplemented) = answer, check.kernel.alteredCall == nil {
        throw Statement.Stop.skipped("\(check.subject.driver) has no dumb buffers, and so no mapping of any")
      }
      let family = check.machine.family(of: check.subject)
      if case .success = answer, family.family == nil, family.contradicted == nil, check.kernel.alteredCall == nil {
        throw Statement.Stop.skipped(
          "this is a rule of drm_gem_dumb_map_offset alone, and \(check.subject.driver), which gives an offset, has a function "
            + "of its own (dumb_map_offset)")
      }
      check.expect(answer, fails: .invalidArgument)
    },
    Statement(
      "I02", .core, on: .dumbDevice, "a buffer of the same device, taken by another open file, can be mapped there",
      source: "drm_gem.c:drm_gem_dumb_map_offset; drm_prime.c:drm_gem_prime_import (a self-import is the object itself)"
    ) { check in
      let (kernel, buffer) = (check.kernel, try check.buffer())
      guard let ownHandle = buffer.handle else { throw Statement.Stop.broken("a dumb buffer has a handle") }
      let own = try check.deviceMapping(buffer.node, handle: ownHandle, byteCount: buffer.byteCount)
      let other = try check.openDevice()
      let handle = try check.prepare(kernel.primeFDToHandle(other, buffer.dmaBuf))
      let offset = try check.expect(kernel.mapDumb(other, handle: handle))
      let mapping = try check.expect(kernel.map(other, byteCount: buffer.byteCount, offset: offset))
      let mark = (0..<8).map { UInt8(truncatingIfNeeded: check.seed >> UInt64($0 * 8)) | 1 }
      kernel.write(mark, to: own, at: 4096)
      check.expect(
        "what the other open file sees of what was written", kernel.bytes(of: mapping, at: 4096, count: 8), is: mark)
    },
    Statement(
      "I03", .core, on: .dumbDevice, "an unknown handle has no mapping", source: "drm_gem.c:drm_gem_dumb_map_offset"
    ) { check in
      let device = try check.openDevice()
      let gone = try check.prepare(check.kernel.createDumb(device, width: 64, height: 64)).handle
      _ = try check.prepare(check.kernel.destroyDumb(device, handle: gone))
      for handle in [0, gone, gone + 1000] {
        check.expect(check.kernel.mapDumb(device, handle: handle), fails: .noSuchFile)
      }
    },
  ]

  private static let dumbBufferCalls: [Statement] = [
    Statement(
      "I04", .core, on: .dumbDevice, "a size of 0, and one whose product overflows, is refused",
      source: "drm_dumb_buffers.c:drm_mode_create_dumb"
    ) { check in
      let device = try check.openDevice()
      func create(_ width: UInt32, _ height: UInt32, _ bitsPerPixel: UInt32) -> CallResult<DumbBufferLayout> {
        check.kernel.createDumb(device, width: width, height: height, bitsPerPixel: bitsPerPixel)
      }
      check.expect(create(0, 64, 32), fails: .invalidArgument)
      check.expect(create(64, 0, 32), fails: .invalidArgument)
      check.expect(create(64, 64, 0), fails: .invalidArgument)
      // Rows longer than 32 bits, a buffer longer than 32 bits, and one that rounding up to pages makes so.
      check.expect(create(.max, 1, 32), fails: .invalidArgument)
      check.expect(create(65536, 65536, 32), fails: .invalidArgument)
      check.expect(create(1, .max, 8), fails: .invalidArgument)
      check.expect(create(64, 64, .max), fails: .invalidArgument)
    },
    Statement(
      "I05", .helper, of: .surely(.shmem, .dma), on: .dumbDevice,
      "a new buffer is all zeros, also where another one has been",
      source: "drm.h (DRM_IOCTL_MODE_CREATE_DUMB); igt-gpu-tools: dumb_buffer@create-clear"
    ) { check in
      let (kernel, device) = (check.kernel, try check.openDevice())
      let old = try check.prepare(kernel.createDumb(device, width: 64, height: 64))
      let used = try check.deviceMapping(device, handle: old.handle, byteCount: Int(old.byteCount))
      kernel.write([UInt8](repeating: 0xa5, count: used.byteCount), to: used, at: 0)
      _ = try check.prepare(kernel.unmap(used))
      _ = try check.prepare(kernel.destroyDumb(device, handle: old.handle))
      let new = try check.expect(kernel.createDumb(device, width: 64, height: 64))
      let fresh = try check.deviceMapping(device, handle: new.handle, byteCount: Int(new.byteCount))
      let bytes = kernel.bytes(of: fresh, at: 0, count: fresh.byteCount)
      let dirty = bytes.firstIndex { $0 != 0 }
      check.expect(
        "the new buffer", bytes.count == fresh.byteCount && dirty == nil, "\(fresh.byteCount) zeros",
        got: dirty.map { "\(bytes[$0]) at byte \($0)" } ?? "\(bytes.count) bytes")
    },
    Statement(
      "I06", .core, on: .dumbDevice, "rows hold their pixels, and the buffer holds its rows",
      source: "drm_dumb_buffers.c:drm_mode_create_dumb"
    ) { check in
      let device = try check.openDevice()
      for (width, height, bits) in [(64, 64, 32), (1, 1, 32), (33, 7, 32), (641, 5, 32), (65, 3, 16), (100, 5, 8)] {
        let answer = check.kernel.createDumb(
          device, width: UInt32(width), height: UInt32(height), bitsPerPixel: UInt32(bits))
        // Every driver has 32 bits a pixel; the others it may not have.
        if bits != 32, case .failure(.invalidArgument) = answer { continue }
        let (layout, shape) = (try check.expect(answer), "\(width)x\(height), \(bits) bits")
        let row = width * bits / 8
        check.expect("the pitch of \(shape)", layout.pitch >= row, "\(row) or more", got: "\(layout.pitch)")
        let rows = Int(layout.pitch) * height
        check.expect(
          "the size of \(shape)", layout.byteCount >= rows, "\(rows) or more", got: "\(layout.byteCount)")
      }
    },
    Statement(
      "I07", .core, on: .dumbDevice, "destroying an unknown handle is refused",
      source: "drm_gem.c:drm_gem_handle_delete"
    ) { check in
      let device = try check.openDevice()
      let handle = try check.prepare(check.kernel.createDumb(device, width: 64, height: 64)).handle
      check.expect(check.kernel.destroyDumb(device, handle: 0), fails: .invalidArgument)
      check.expect(check.kernel.destroyDumb(device, handle: handle + 1000), fails: .invalidArgument)
      check.expectSuccess(check.kernel.destroyDumb(device, handle: handle))
      check.expect(check.kernel.destroyDumb(device, handle: handle), fails: .invalidArgument)
    },
    Statement(
      "I08", .core, on: .dumbDevice, "an open file cannot map the buffer of another, until it has taken it",
      source: "drm_gem.c:drm_gem_mmap (drm_vma_node_is_allowed)"
    ) { check in
      let (kernel, buffer) = (check.kernel, try check.buffer())
      guard let handle = buffer.handle else { throw Statement.Stop.broken("a dumb buffer has a handle") }
      let offset = try check.prepare(kernel.mapDumb(buffer.node, handle: handle))
      let stranger = try check.openDevice()
      check.expect(
        kernel.map(stranger, byteCount: buffer.byteCount, offset: offset), fails: .permissionDenied)
      _ = try check.prepare(kernel.primeFDToHandle(stranger, buffer.dmaBuf))
      check.expectSuccess(kernel.map(stranger, byteCount: buffer.byteCount, offset: offset))
    },
    Statement(
      "I09", .core, on: .dumbDevice, "a device cannot be mapped where no buffer is", source: "drm_gem.c:drm_gem_mmap"
    ) { check in
      let device = try check.openDevice()
      // Buffers begin at 4 GiB and end long before 32 TiB.
      for offset: UInt64 in [0, 4096, 1 << 45] {
        check.expect(check.kernel.map(device, byteCount: 4096, offset: offset), fails: .invalidArgument)
      }
    },
    Statement(
      "I10", .core, on: .device, "a device that sets modes has dumb buffers where it says so, and else ENOSYS",
      source: "drm_dumb_buffers.c:drm_mode_create_dumb; drm_ioctl.c:drm_getcap (DRM_CAP_DUMB_BUFFER)"
    ) { check in
      let device = try check.openDevice()
      let setsModes = check.machine.subjects(.display).contains { $0.device == check.subject.device }
      let capability = check.kernel.capability(device, 1)
      if setsModes {
        let hasDumbBuffers = try check.expect(capability)
        let created = check.kernel.createDumb(device, width: 64, height: 64)
        if hasDumbBuffers == 0 { check.expect(created, fails: .notImplemented) } else { check.expectSuccess(created) }
      } else {
        // What sets no modes does not tell: vgem refuses the question and has them.
        check.expect(capability, fails: .notSupported)
        let created = check.kernel.createDumb(device, width: 64, height: 64)
        if case .failure = created { check.expect(created, fails: .notImplemented) }
      }
    },
    Statement(
      "I11", .core, on: .renderDevice, "a render node makes no dumb buffers",
      source: "drm_ioctl.c (DRM_IOCTL_MODE_CREATE_DUMB without DRM_RENDER_ALLOW)"
    ) { check in
      guard let path = check.subject.device?.render?.path else {
        throw Statement.Stop.broken("there is no render node")
      }
      let node = try check.prepare(check.kernel.open(path, flags: O_RDWR))
      check.expect(check.kernel.createDumb(node, width: 64, height: 64), fails: .permissionDenied)
    },
  ]
}

extension Check {
  /// A dumb buffer mapped through its device's open file.
  fileprivate func deviceMapping(
    _ device: CInt, handle: UInt32, byteCount: Int
  ) throws(Statement.Stop) -> ProbeMapping {
    let offset = try prepare(kernel.mapDumb(device, handle: handle))
    return try prepare(kernel.map(device, byteCount: byteCount, offset: offset))
  }
}
