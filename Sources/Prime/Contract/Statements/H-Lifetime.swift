internal import Glibc
internal import Prime

extension Contract {
  /// H: how long buffers live, and processes.
  static let lifetimes: [Statement] = bufferLives + processBoundaries

  /// What a buffer outlives.
  private static let bufferLives: [Statement] = [
    Statement(
      "H01", .core, on: .dumbDevice, "a dma-buf outlives its GEM handle, whichever way that is closed",
      source: "drm_prime.c:drm_gem_prime_export (the dma-buf holds the object)"
    ) { check in
      for destroys in [false, true] {
        let buffer = try check.fourPages()
        guard let handle = buffer.handle else { throw Statement.Stop.broken("a dumb buffer without a handle") }
        let marks = check.marks(of: buffer)
        try check.write(marks, to: buffer)
        let size = try check.prepare(check.kernel.seek(buffer.dmaBuf, 0, .end))
        try check.expect(
          destroys
            ? check.kernel.destroyDumb(buffer.node, handle: handle) : check.kernel.closeHandle(buffer.node, handle))
        check.expect("its size", try check.expect(check.kernel.seek(buffer.dmaBuf, 0, .end)), is: size)
        try check.expect(marks, throughNewMappingOf: buffer.dmaBuf, byteCount: buffer.byteCount)
      }
    },
    Statement(
      "H02", .core, on: .dumbDevice, "its maker takes it back after the handle was closed, and it is the same dma-buf",
      source: "drm_prime.c:drm_gem_prime_import_dev"
    ) { check in
      let buffer = try check.fourPages()
      guard let handle = buffer.handle else { throw Statement.Stop.broken("a dumb buffer without a handle") }
      let marks = check.marks(of: buffer)
      try check.write(marks, to: buffer)
      let inode = try check.prepare(check.kernel.status(buffer.dmaBuf)).inode
      _ = try check.prepare(check.kernel.closeHandle(buffer.node, handle))
      let again = try check.expect(check.kernel.primeFDToHandle(buffer.node, buffer.dmaBuf))
      try check.expectSameBuffer(inode, marks, behind: again, on: buffer.node, byteCount: buffer.byteCount)
    },
    Statement(
      "H03", .helper, of: .surely(.shmem, .dma, .vram, .ttm, .udmabuf, .systemHeap), on: .exporter,
      "a mapping outlives every descriptor of the dma-buf, and what is written lands",
      source: "mm/mmap.c (the mapping holds the file)"
    ) { check in
      let buffer = try check.fourPages()
      let mapping = try check.mapping(of: buffer)
      let before = check.marks(of: buffer)
      try check.write(before, to: mapping, of: buffer.dmaBuf)
      try check.expect(check.kernel.close(buffer.dmaBuf))
      check.expect(before, in: mapping, "the mapping")
      let after = check.marks(of: buffer, variant: 1)
      check.write(after, withoutBracketTo: mapping)
      check.expect(after, in: mapping, "the mapping")
      // The heap keeps nothing but the dma-buf; of the others the memory can be seen from another side.
      if let handle = buffer.handle {
        let flags = PrimeFlags.closeOnExec | PrimeFlags.readWrite
        let other = try check.expect(check.kernel.primeHandleToFD(buffer.node, handle: handle, flags: flags))
        // What was written outside a bracket need not arrive elsewhere (dma-buf.c, DOC "cpu access").
        try check.write(after, to: mapping, of: other)
        try check.expect(after, throughNewMappingOf: other, byteCount: buffer.byteCount)
        _ = try check.prepare(check.kernel.close(other))
        _ = try check.prepare(check.kernel.closeHandle(buffer.node, handle))
      } else if let memory = buffer.memory {
        let other = try check.expect(check.kernel.map(memory, byteCount: buffer.byteCount))
        check.expect(after, in: other, "the memfd")
        _ = try check.prepare(check.kernel.unmap(other))
        _ = try check.prepare(check.kernel.close(memory))
      }
      _ = try check.prepare(check.kernel.close(buffer.node))
      check.expect(after, in: mapping, "the mapping, which is all that is left")
      check.write(before, withoutBracketTo: mapping)
      check.expect(before, in: mapping, "the mapping, which is all that is left")
    },
    Statement(
      "H04", .core, on: .sharingPair,
      "an importer's handle keeps the buffer when its maker and every descriptor are gone",
      source: "drm_prime.c:drm_gem_prime_import_dev (the import holds the dma-buf)"
    ) { check in
      let buffer = try check.takenBuffer()
      let marks = check.marks(of: buffer)
      try check.write(marks, to: buffer)
      let inode = try check.prepare(check.kernel.status(buffer.dmaBuf)).inode
      let importer = try check.openDevice()
      let handle = try check.prepare(check.kernel.primeFDToHandle(importer, buffer.dmaBuf))
      try check.expect(check.kernel.close(buffer.dmaBuf))
      try check.expect(check.kernel.close(buffer.node))
      try check.expectSameBuffer(inode, marks, behind: handle, on: importer, byteCount: buffer.byteCount)
    },
    Statement(
      "H05", .core, on: .sharingPair, "a dma-buf and its mapping outlive the open device that made it",
      source: "drm_gem.c:drm_gem_release (the dma-buf holds the object)"
    ) { check in
      let buffer = try check.takenBuffer()
      let mapping = try check.mapping(of: buffer)
      let marks = check.marks(of: buffer)
      try check.write(marks, to: mapping, of: buffer.dmaBuf)
      let status = try check.prepare(check.kernel.status(buffer.dmaBuf))
      try check.expect(check.kernel.close(buffer.node))
      check.expect("its size", try check.expect(check.kernel.seek(buffer.dmaBuf, 0, .end)), is: status.byteCount)
      check.expect(marks, in: mapping, "the mapping")
      let importer = try check.openDevice()
      let handle = try check.expect(check.kernel.primeFDToHandle(importer, buffer.dmaBuf))
      try check.expectSameBuffer(status.inode, marks, behind: handle, on: importer, byteCount: buffer.byteCount)
    },
  ]
}

extension Check {
  /// A handle must be that of the dma-buf with this inode, which shows these marks.
  fileprivate func expectSameBuffer(
    _ inode: UInt64, _ marks: PageMarks, behind handle: UInt32, on device: CInt, byteCount: Int
  ) throws(Statement.Stop) {
    let flags = PrimeFlags.closeOnExec | PrimeFlags.readWrite
    let exported = try expect(kernel.primeHandleToFD(device, handle: handle, flags: flags))
    expect("the inode of what the handle exports", try expect(kernel.status(exported)).inode, is: inode)
    try expect(marks, throughNewMappingOf: exported, byteCount: byteCount)
  }
}
