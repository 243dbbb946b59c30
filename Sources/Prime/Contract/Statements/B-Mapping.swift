internal import Glibc
internal import Prime

extension Contract {
  /// B: mapping a dma-buf.
  static let mappings: [Statement] = [
    Statement(
      "B01", .core, on: .exporter, "it can be mapped shared for reading and writing",
      source: "dma-buf.c:dma_buf_mmap_internal"
    ) { check in
      let buffer = try check.fourPages()
      let answer = check.kernel.map(buffer.dmaBuf, byteCount: buffer.byteCount)
      let mapping = try check.expect(check.unlessUnmappable(answer))
      let marks = check.marks(of: buffer)
      try check.write(marks, to: mapping, of: buffer.dmaBuf)
      try check.expect(marks, throughNewMappingOf: buffer.dmaBuf, byteCount: buffer.byteCount)
    },
    Statement(
      "B02", .core, on: .exporter, "a read-only dma-buf cannot be mapped shared for writing",
      source: "mm/mmap.c:do_mmap (FMODE_WRITE)"
    ) { check in
      let buffer = try check.readOnlyBuffer()
      check.expect(check.kernel.map(buffer.dmaBuf, byteCount: buffer.byteCount), fails: .permissionDenied)
    },
    Statement(
      "B03", .core, on: .exporter, "a read-only dma-buf can be mapped shared for reading",
      source: "mm/mmap.c:do_mmap (FMODE_WRITE)"
    ) { check in
      let buffer = try check.readOnlyBuffer()
      let answer = check.kernel.map(buffer.dmaBuf, byteCount: buffer.byteCount, protection: PROT_READ)
      let mapping = try check.expect(check.unlessUnmappable(answer))
      let first = check.kernel.bytes(of: mapping, at: 0, count: PageMarks.byteCount)
      check.expect("the bytes that can be read", first.count, is: PageMarks.byteCount)
    },
    Statement(
      "B04", .core, on: .exporter, "a read-only mapping of a read-only dma-buf cannot be made writable",
      source: "mm/mprotect.c (VM_MAYWRITE is clear)"
    ) { check in
      let buffer = try check.readOnlyBuffer()
      let answer = check.kernel.map(buffer.dmaBuf, byteCount: buffer.byteCount, protection: PROT_READ)
      let mapping = try check.prepare(check.unlessUnmappable(answer))
      check.expect(check.kernel.protect(mapping, protection: PROT_READ | PROT_WRITE), fails: .permissionDenied)
    },
    Statement(
      "B05", .core, on: .exporter, "a mapping longer than the buffer is refused",
      source: "dma-buf.c:dma_buf_mmap_internal"
    ) { check in
      let buffer = try check.bufferWithBounds()
      let tooMuch = buffer.byteCount + PageMarks.pageSize
      check.expect(check.kernel.map(buffer.dmaBuf, byteCount: tooMuch), fails: .invalidArgument)
    },
    Statement(
      "B06", .core, on: .exporter, "a mapping that begins inside and passes the end is refused",
      source: "dma-buf.c:dma_buf_mmap_internal"
    ) { check in
      let buffer = try check.bufferWithBounds()
      let page = UInt64(PageMarks.pageSize)
      check.expect(
        check.kernel.map(buffer.dmaBuf, byteCount: buffer.byteCount, offset: page), fails: .invalidArgument)
    },
    Statement(
      "B07", .core, on: .exporter, "a mapping that begins at the end is refused",
      source: "dma-buf.c:dma_buf_mmap_internal"
    ) { check in
      let buffer = try check.bufferWithBounds()
      let end = UInt64(buffer.byteCount)
      check.expect(
        check.kernel.map(buffer.dmaBuf, byteCount: PageMarks.pageSize, offset: end), fails: .invalidArgument)
    },
    Statement(
      "B08", .core, on: .exporter, "an offset inside a page is refused", source: "mm/mmap.c; the architecture's mmap"
    ) { check in
      let dmaBuf = try check.bufferWithBounds().dmaBuf
      for offset: UInt64 in [1, 256, UInt64(PageMarks.pageSize) - 1] {
        check.expect(check.kernel.map(dmaBuf, byteCount: PageMarks.pageSize, offset: offset), fails: .invalidArgument)
      }
    },
    Statement(
      "B09", .helper, on: .exporter, "it cannot be mapped private, for reading neither",
      source: "drm_gem_shmem_helper.c:drm_gem_shmem_mmap (is_cow_mapping); udmabuf.c:mmap_udmabuf (VM_SHARED)"
    ) { check in
      let buffer = try check.buffer()
      _ = try check.prepare(check.kernel.unmap(check.mapping(of: buffer)))
      for protection in [PROT_READ | PROT_WRITE, PROT_READ] {
        check.expect(
          check.kernel.map(
            buffer.dmaBuf, byteCount: buffer.byteCount, protection: protection, flags: MAP_PRIVATE),
          fails: .invalidArgument)
      }
    },
    Statement(
      "B10", .core, on: .exporter, "a mapping that begins at a page shows that page",
      source: "drm_prime.c:drm_gem_prime_mmap; drm_gem_shmem_helper.c:drm_gem_shmem_fault"
    ) { check in
      let buffer = try check.fourPages()
      let marks = check.marks(of: buffer)
      try check.write(marks, to: buffer)
      for page in 1..<max(2, marks.count) {
        let offset = UInt64(page * PageMarks.pageSize)
        let mapping = try check.expect(
          check.kernel.map(buffer.dmaBuf, byteCount: PageMarks.pageSize, offset: offset))
        let seen = check.kernel.bytes(of: mapping, at: 0, count: PageMarks.byteCount)
        check.expect("the mapping at offset \(offset)", marks.name(of: seen), is: "page \(page)")
      }
    },
    Statement(
      "B11", .core, on: .exporter, "where a mapping's first page is unmapped the others stay what they were",
      source: "drm_gem_shmem_helper.c:drm_gem_shmem_fault (a page untouched before is found from the new beginning)"
    ) { check in
      let buffer = try check.fourPages()
      let marks = check.marks(of: buffer)
      try check.write(marks, to: buffer)
      let mapping = try check.mapping(of: buffer)
      try check.expect(check.kernel.unmap(mapping, byteCount: PageMarks.pageSize))
      for page in 1..<max(2, marks.count) {
        let seen = check.kernel.bytes(of: mapping, at: page * PageMarks.pageSize, count: PageMarks.byteCount)
        check.expect("what was page \(page) of the mapping", marks.name(of: seen), is: "page \(page)")
      }
    },
    Statement(
      "B12", .helper, on: .exporter, "a mapping cannot grow", source: "mm/mremap.c (VM_DONTEXPAND, set by the exporter)"
    ) { check in
      let buffer = try check.fourPages()
      let whole = try check.mapping(of: buffer)
      check.expectFailure(check.kernel.remap(whole, byteCount: buffer.byteCount + PageMarks.pageSize))
      // Also not into what the buffer has.
      let first = try check.prepare(check.kernel.map(buffer.dmaBuf, byteCount: PageMarks.pageSize))
      check.expectFailure(check.kernel.remap(first, byteCount: 2 * PageMarks.pageSize))
    },
    Statement(
      "B13", .core, on: .exporter, "a mapping of no byte is refused", source: "mm/mmap.c:do_mmap"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      check.expect(check.kernel.map(dmaBuf, byteCount: 0), fails: .invalidArgument)
    },
    Statement(
      "B14", .helper, of: .surely(.shmem, .dma, .udmabuf, .systemHeap), on: .exporter,
      "a fresh buffer is zero, whatever its memory held before",
      source: "drm.h (DRM_IOCTL_MODE_CREATE_DUMB); system_heap.c (__GFP_ZERO)"
    ) { check in
      let used = try check.fourPages()
      try check.write(check.marks(of: used), to: used)
      // Given back, so that its memory is what the next one is likely to get.
      check.kernel.cleanUp()
      let fresh = try check.fourPages()
      let mapping = try check.mapping(of: fresh)
      let bytes = check.kernel.bytes(of: mapping, at: 0, count: fresh.byteCount)
      check.expect("the bytes that can be read", bytes.count, is: fresh.byteCount)
      let written = bytes.firstIndex { $0 != 0 }
      check.expect("a fresh buffer", written == nil, "zeros", got: "a byte that is not, \(written ?? 0) bytes in")
    },
  ]
}
