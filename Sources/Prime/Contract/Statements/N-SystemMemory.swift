internal import Glibc
internal import Prime

extension Contract {
  /// N: udmabuf and dma-heaps.
  static let systemMemory: [Statement] = udmabufs + heaps

  private static let page = Int(getpagesize())

  /// `/dev/udmabuf`: a dma-buf of a memfd's pages.
  private static let udmabufs: [Statement] = [
    Statement(
      "N01", .exporterSpecific, on: .udmabuf,
      "udmabuf wants memory that cannot shrink and may be written, and whole pages of it",
      source: "udmabuf.c:check_memfd_seals, udmabuf_create"
    ) { check in
      let (kernel, udmabuf) = (check.kernel, try check.udmabuf())
      func refused(_ memory: CInt, offset: UInt64 = 0, byteCount: UInt64) {
        check.expect(
          kernel.createUDMABuf(udmabuf, memory: memory, offset: offset, byteCount: byteCount), fails: .invalidArgument)
      }
      let whole = UInt64(4 * page)
      for seals in [0, MemorySeals.grow, MemorySeals.shrink | MemorySeals.write] {
        refused(try check.prepare(kernel.createMemory(byteCount: Int64(whole), seals: seals)), byteCount: whole)
      }
      let memory = try check.prepare(kernel.createMemory(byteCount: Int64(whole), seals: MemorySeals.shrink))
      refused(memory, byteCount: 0)
      refused(memory, byteCount: whole - 1)
      refused(memory, byteCount: 1)
      refused(memory, offset: 1, byteCount: UInt64(page))
      check.expectSuccess(kernel.createUDMABuf(udmabuf, memory: memory, offset: UInt64(page), byteCount: UInt64(page)))
    },
    Statement(
      "N02", .exporterSpecific, on: .udmabuf, "udmabuf says EBADFD to what is not a memfd",
      source: "udmabuf.c:check_memfd_seals, udmabuf_create"
    ) { check in
      let (kernel, udmabuf) = (check.kernel, try check.udmabuf())
      let null = try check.prepare(kernel.open("/dev/null", flags: O_RDWR))
      for file in [-1, null, udmabuf] {
        check.expect(
          kernel.createUDMABuf(udmabuf, memory: file, byteCount: UInt64(page)), fails: .badDescriptorState)
      }
    },
    Statement(
      "N03", .exporterSpecific, on: .udmabuf, "udmabuf makes nothing larger than its size_limit_mb",
      source: "udmabuf.c:udmabuf_create (size_limit_mb)"
    ) { check in
      let (kernel, udmabuf) = (check.kernel, try check.udmabuf())
      let text = try check.prepare(kernel.text(of: "/sys/module/udmabuf/parameters/size_limit_mb"))
      guard let megabytes = UInt64(text.filter { !$0.isWhitespace }) else {
        throw Statement.Stop.broken("size_limit_mb is '\(text)', not a number")
      }
      // No page of it is used, and the limit is looked at first.
      let byteCount = megabytes << 20 + UInt64(page)
      let memory = try check.prepare(kernel.createMemory(byteCount: Int64(byteCount), seals: MemorySeals.shrink))
      check.expect(kernel.createUDMABuf(udmabuf, memory: memory, byteCount: byteCount), fails: .invalidArgument)
      check.expectSuccess(kernel.createUDMABuf(udmabuf, memory: memory, byteCount: UInt64(page)))
    },
    Statement(
      "N04", .exporterSpecific, on: .udmabuf,
      "a udmabuf is open for reading and writing, and close-on-exec where that was asked for",
      source: "udmabuf.c:export_udmabuf, udmabuf_create"
    ) { check in
      let (kernel, udmabuf) = (check.kernel, try check.udmabuf())
      let memory = try check.prepare(kernel.createMemory(byteCount: Int64(page), seals: MemorySeals.shrink))
      for (flags, closes) in [(1 as UInt32, Int(FD_CLOEXEC)), (0, 0)] {
        let dmaBuf = try check.expect(
          kernel.createUDMABuf(udmabuf, memory: memory, flags: flags, byteCount: UInt64(page)))
        let descriptorFlags = try check.expect(kernel.control(dmaBuf, F_GETFD, 0, "F_GETFD"))
        check.expect("FD_CLOEXEC with flags \(flags)", descriptorFlags & Int(FD_CLOEXEC), is: closes)
        let mode = try check.expect(kernel.control(dmaBuf, F_GETFL, 0, "F_GETFL"))
        check.expect("the access mode", mode & Int(O_ACCMODE), is: Int(O_RDWR))
      }
    },
    Statement(
      "N05", .exporterSpecific, on: .udmabuf, "memory in a udmabuf cannot be sealed against writing any more",
      source: "memfd.c:memfd_add_seals"
    ) { check in
      guard let memory = try check.buffer().memory else { throw Statement.Stop.broken("a udmabuf has a memfd") }
      check.expect(
        check.kernel.control(memory, MemorySeals.add, Int64(MemorySeals.write), "F_ADD_SEALS, F_SEAL_WRITE"),
        fails: .busy)
      let seals = try check.expect(check.kernel.control(memory, MemorySeals.get, 0, "F_GET_SEALS"))
      check.expect("F_SEAL_WRITE", seals & Int(MemorySeals.write), is: 0)
    },
    Statement(
      "N06", .exporterSpecific, on: .udmabufPair,
      "devices on GEM-shmem take a udmabuf and make framebuffers of it; others do as well, or refuse with a clear errno",
      source: "drm_gem_shmem_helper.c:drm_gem_shmem_prime_import_sg_table; drm_prime.c:drm_gem_prime_import_dev",
      takesSystemMemory),
    Statement(
      "N07", .exporterSpecific, on: .systemMemory, "a mapping at an offset shows the page that is there",
      source: "udmabuf.c:udmabuf_vm_fault; system_heap.c:system_heap_mmap"
    ) { check in
      let (kernel, buffer) = (check.kernel, try check.buffer())
      let whole = try check.mapping(of: buffer)
      let count = buffer.byteCount / page
      guard count > 1 else { throw Statement.Stop.skipped("a buffer of one page has no second one to map") }
      for index in 0..<count { kernel.write([UInt8(index + 1)], to: whole, at: index * page) }
      for index in 1..<count {
        let mapping = try check.expect(kernel.map(buffer.dmaBuf, byteCount: page, offset: UInt64(index * page)))
        check.expect("the mark of page \(index)", kernel.byte(of: mapping, at: 0), is: UInt8(index + 1))
      }
    },
  ]

  /// A device must take the subject's buffer where its driver is built to; any other must say clearly that it does not.
  @Sendable private static func takesSystemMemory(_ check: Check) throws {
    let buffer = try check.buffer()
    let device = try check.openDevice()
    let imported = check.kernel.primeFDToHandle(device, buffer.dmaBuf)
    // Who takes some memory of no device, or GEM-shmem's, which is of the same kind, has nothing against any of it.
    let machine = check.machine
    let takesSuch = machine.subjects(.sharingPair).contains { pair in
      guard pair.device == check.subject.device, let exporter = pair.exporter else { return false }
      let maker = machine.family(of: Subject(exporter: exporter, name: "", driver: "")).family
      return maker.map { [.udmabuf, .systemHeap, .shmem].contains($0) } ?? false
    }
    if case .failure = imported, !takesSuch || check.isRefusedForItsPieces(buffer) {
      if check.subject.driver == "virtio_gpu" {
        check.expect(imported, fails: .noSuchDevice)
      } else {
        check.expect(imported, fails: .noSuchDevice, .invalidArgument, .notImplemented, .notSupported)
      }
      return
    }
    let handle = try check.expect(imported)
    guard check.subject.device.map(check.machine.isDisplay) == true else { return }
    let request = ProbeFramebuffer(of: buffer, as: try check.pictureFormat(), handle: handle)
    check.expectSuccess(check.kernel.addFramebuffer(device, request))
  }

  /// `/dev/dma_heap`.
  private static let heaps: [Statement] = [
    Statement(
      "N08", .exporterSpecific, on: .heap, "a heap refuses a descriptor, flags that it does not know, and no bytes",
      source: "dma-heap.c:dma_heap_ioctl_allocate, dma_heap_buffer_alloc"
    ) { check in
      let (kernel, heap) = (check.kernel, try check.heap())
      let bytes = UInt64(page)
      check.expect(kernel.allocateFromHeap(heap, byteCount: bytes, descriptor: 1), fails: .invalidArgument)
      for flags in [UInt32(O_NONBLOCK), UInt32(O_APPEND), ~0] {
        check.expect(kernel.allocateFromHeap(heap, byteCount: bytes, descriptorFlags: flags), fails: .invalidArgument)
      }
      for flags: UInt64 in [1, 1 << 32, ~0] {
        check.expect(kernel.allocateFromHeap(heap, byteCount: bytes, heapFlags: flags), fails: .invalidArgument)
      }
      check.expect(kernel.allocateFromHeap(heap, byteCount: 0), fails: .invalidArgument)
      check.expectSuccess(kernel.allocateFromHeap(heap, byteCount: bytes))
    },
    Statement(
      "N09", .exporterSpecific, on: .heap, "a heap rounds up to whole pages, which are zero",
      source: "dma-heap.c:dma_heap_buffer_alloc; system_heap.c:system_heap_allocate"
    ) { check in
      let (kernel, heap) = (check.kernel, try check.heap())
      // Some of its pages come back to the next one.
      let old = try check.prepare(kernel.allocateFromHeap(heap, byteCount: UInt64(4 * page)))
      let used = try check.prepare(kernel.map(old, byteCount: 4 * page))
      kernel.write([UInt8](repeating: 0xa5, count: used.byteCount), to: used, at: 0)
      _ = try check.prepare(kernel.unmap(used))
      _ = try check.prepare(kernel.close(old))
      for (asked, given) in [(1, page), (page, page), (page + 1, 2 * page)] {
        let dmaBuf = try check.expect(kernel.allocateFromHeap(heap, byteCount: UInt64(asked)))
        let size = try check.expect(kernel.seek(dmaBuf, 0, .end))
        check.expect("the size for \(asked) bytes", size, is: Int64(given))
        let mapping = try check.expect(kernel.map(dmaBuf, byteCount: given))
        let bytes = kernel.bytes(of: mapping, at: 0, count: given)
        let dirty = bytes.firstIndex { $0 != 0 }
        check.expect(
          "a new buffer of \(asked) bytes", bytes.count == given && dirty == nil, "\(given) zeros",
          got: dirty.map { "\(bytes[$0]) at byte \($0)" } ?? "\(bytes.count) bytes")
      }
    },
    Statement(
      "N10", .exporterSpecific, on: .heap, "without O_RDWR a heap's buffer is open for reading only",
      source: "dma-heap.c:dma_heap_ioctl_allocate; system_heap.c:system_heap_allocate"
    ) { check in
      let (kernel, heap) = (check.kernel, try check.heap())
      let dmaBuf = try check.expect(kernel.allocateFromHeap(heap, byteCount: UInt64(page), descriptorFlags: 0))
      check.expect(kernel.map(dmaBuf, byteCount: page), fails: .permissionDenied)
      check.expectSuccess(kernel.map(dmaBuf, byteCount: page, protection: PROT_READ))
      let mode = try check.expect(kernel.control(dmaBuf, F_GETFL, 0, "F_GETFL"))
      check.expect("the access mode", mode & Int(O_ACCMODE), is: Int(O_RDONLY))
    },
    Statement(
      "N11", .exporterSpecific, on: .heapPair,
      "devices on GEM-shmem take a heap's buffer and make framebuffers of it; others do as well, or refuse with a clear "
        + "errno",
      source: "drm_gem_shmem_helper.c:drm_gem_shmem_prime_import_sg_table; drm_prime.c:drm_gem_prime_import_dev",
      takesSystemMemory),
    Statement(
      "N12", .exporterSpecific, on: .machine, "a display that needs contiguous memory takes it from the CMA heap",
      needs: [.alone], source: "cma_heap.c:cma_heap_allocate; drm_gem_dma_helper.c:drm_gem_dma_prime_import_sg_table"
    ) { check in
      let kernel = check.kernel
      let names = ["linux,cma", "reserved", "default_cma_region"]
      guard let name = names.first(where: { kernel.unrecorded.isWritable("/dev/dma_heap/\($0)") }) else {
        throw Statement.Stop.skipped(
          "this machine has no CMA heap that can be opened: \(names.joined(separator: ", "))")
      }
      let devices = check.machine.subjects(.display).compactMap(\.device)
      let displays = devices.compactMap { $0.primary?.path }
      guard !displays.isEmpty else { throw Statement.Stop.skipped("no device here sets modes") }
      let heap = try check.prepare(kernel.open("/dev/dma_heap/\(name)", flags: O_RDWR))
      let dmaBuf = try check.expect(kernel.allocateFromHeap(heap, byteCount: 64 * 64 * 4))
      var takers: [String] = []
      for display in devices {
        guard let path = display.primary?.path, let format = check.machine.pictureFormat(of: display) else { continue }
        let device = try check.prepare(kernel.openDevice(path))
        guard case .success(let handle) = kernel.primeFDToHandle(device, dmaBuf) else { continue }
        let request = ProbeFramebuffer(
          width: 64, height: 64, fourcc: format, handle: handle, pitch: 256)
        if case .success = kernel.addFramebuffer(device, request) { takers.append(path) }
      }
      check.expect("the displays that take it", !takers.isEmpty, "one at least", got: "none of \(displays)")
    },
  ]
}

extension Check {
  /// `/dev/udmabuf`, open.
  fileprivate func udmabuf() throws(Statement.Stop) -> CInt {
    try prepare(kernel.open("/dev/udmabuf", flags: O_RDWR))
  }

  /// The system heap, open.
  fileprivate func heap() throws(Statement.Stop) -> CInt {
    try prepare(kernel.open("/dev/dma_heap/system", flags: O_RDWR))
  }
}
