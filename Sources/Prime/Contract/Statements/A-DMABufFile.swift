internal import Glibc
internal import Prime

extension Contract {
  /// A: a dma-buf as a file, whoever exported it.
  static let dmaBufFile: [Statement] = [
    Statement(
      "A01", .core, on: .exporter, "seeking to the end gives the buffer's size: above 0 and whole pages",
      source: "dma-buf.c:dma_buf_llseek; dma-buf.rst \"Userspace Interface Notes\""
    ) { check in
      let buffer = try check.buffer()
      let size = try check.expect(check.kernel.seek(buffer.dmaBuf, 0, .end))
      let page = Int64(PageMarks.pageSize)
      check.expect("the size", size > 0 && size % page == 0, "above 0 and a multiple of \(page)", got: "\(size)")
      check.expect("the size", size >= Int64(buffer.pitch * buffer.height), "all rows at least", got: "\(size)")
    },
    Statement(
      "A02", .core, on: .exporter, "seeking to the beginning is allowed", source: "dma-buf.c:dma_buf_llseek"
    ) { check in
      let buffer = try check.buffer()
      check.expect("the position", try check.expect(check.kernel.seek(buffer.dmaBuf, 0, .set)), is: 0)
    },
    Statement(
      "A03", .core, on: .exporter, "every other seek is refused", source: "dma-buf.c:dma_buf_llseek; dma-buf.rst"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      check.expect(check.kernel.seek(dmaBuf, 1, .set), fails: .invalidArgument)
      check.expect(check.kernel.seek(dmaBuf, 1, .end), fails: .invalidArgument)
      check.expect(check.kernel.seek(dmaBuf, -1, .end), fails: .invalidArgument)
      check.expect(check.kernel.seek(dmaBuf, 0, .current), fails: .invalidArgument)
      check.expect(check.kernel.seek(dmaBuf, 0, .data), fails: .invalidArgument)
      check.expect(check.kernel.seek(dmaBuf, 0, .hole), fails: .invalidArgument)
    },
    Statement(
      "A04", .core, on: .exporter, "reading, writing, truncating, allocating and flushing it as a file are refused",
      source: "dma-buf.c:dma_buf_fops"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      check.expectFailure(check.kernel.read(dmaBuf, byteCount: 16))
      check.expectFailure(check.kernel.write(dmaBuf, byteCount: 16))
      check.expectFailure(check.kernel.read(dmaBuf, byteCount: 16, at: 0))
      check.expectFailure(check.kernel.write(dmaBuf, byteCount: 16, at: 0))
      check.expectFailure(check.kernel.truncate(dmaBuf, byteCount: 0))
      check.expectFailure(check.kernel.allocate(dmaBuf, byteCount: 4096))
      check.expectFailure(check.kernel.flush(dmaBuf))
    },
    Statement(
      "A05", .core, on: .exporter,
      "the inode identifies the buffer: one for all its descriptors, and its size is right",
      source: "dma-buf.c:dma_buf_getfile"
    ) { check in
      let one = try check.buffer()
      let other = try check.buffer()
      let size = try check.prepare(check.kernel.seek(one.dmaBuf, 0, .end))
      let status = try check.expect(check.kernel.status(one.dmaBuf))
      check.expect("the size from fstat", status.byteCount, is: size)
      let duplicate = try check.prepare(check.kernel.duplicate(one.dmaBuf))
      let again = try check.expect(check.kernel.status(duplicate))
      check.expect("the inode of a duplicate", again.inode, is: status.inode)
      let stranger = try check.expect(check.kernel.status(other.dmaBuf))
      check.expect("the inode", stranger.inode != status.inode, "another for another buffer", got: "\(status.inode)")
    },
    Statement(
      "A06", .core, on: .exporter, "its file system is that of dma-bufs",
      source: "dma-buf.c:dma_buf_fs_init_context; uapi/linux/magic.h"
    ) { check in
      let buffer = try check.buffer()
      let magic = try check.expect(check.kernel.fileSystemMagic(buffer.dmaBuf))
      check.expect("f_type", magic, is: FileSystemMagic.dmaBuf)
    },
    Statement(
      "A07", .core, on: .exporter, "its link in /proc/self/fd is /dmabuf: and the name, once it has one",
      source: "dma-buf.c:dmabuffs_dname"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      let nameless = try check.expect(check.kernel.link(of: dmaBuf))
      check.expect("the link", nameless.hasPrefix("/dmabuf:"), "/dmabuf:", got: nameless)
      _ = try check.prepare(check.kernel.setName(dmaBuf, "hello"))
      let named = try check.expect(check.kernel.link(of: dmaBuf))
      check.expect("the link", named.hasPrefix("/dmabuf:hello"), "/dmabuf:hello", got: named)
    },
    Statement(
      "A08", .helper, of: .surely(.shmem, .dma, .vram, .ttm), on: .dumbDevice,
      "exported with DRM_RDWR it is open for reading and writing",
      source: "drm_prime.c:drm_gem_prime_export; dma-buf.c:dma_buf_getfile"
    ) { check in
      let buffer = try check.buffer()
      let flags = try check.expect(check.kernel.control(buffer.dmaBuf, F_GETFL, 0, "F_GETFL"))
      check.expect("the access mode", flags & Int(O_ACCMODE), is: Int(O_RDWR))
    },
    Statement(
      "A09", .core, on: .dumbDevice, "DRM_CLOEXEC sets close-on-exec on the new descriptor",
      source: "drm_prime.c:drm_gem_prime_handle_to_fd"
    ) { check in
      let buffer = try check.buffer()
      let flags = try check.expect(check.kernel.control(buffer.dmaBuf, F_GETFD, 0, "F_GETFD"))
      check.expect("FD_CLOEXEC", flags & Int(FD_CLOEXEC), is: Int(FD_CLOEXEC))
    },
    Statement(
      "A10", .core, on: .dumbDevice, "without DRM_CLOEXEC it is inherited until fcntl says otherwise",
      source: "drm_prime.c:drm_gem_prime_handle_to_fd; dma-buf.rst"
    ) { check in
      let buffer = try check.buffer(flags: PrimeFlags.readWrite)
      let before = try check.expect(check.kernel.control(buffer.dmaBuf, F_GETFD, 0, "F_GETFD"))
      check.expect("FD_CLOEXEC", before & Int(FD_CLOEXEC), is: 0)
      try check.expect(check.kernel.control(buffer.dmaBuf, F_SETFD, Int64(FD_CLOEXEC), "F_SETFD, FD_CLOEXEC"))
      let after = try check.expect(check.kernel.control(buffer.dmaBuf, F_GETFD, 0, "F_GETFD"))
      check.expect("FD_CLOEXEC", after & Int(FD_CLOEXEC), is: Int(FD_CLOEXEC))
    },
    Statement(
      "A11", .helper, of: .surely(.shmem, .dma, .vram, .ttm), on: .dumbDevice,
      "first exported without DRM_RDWR it is open for reading only",
      source: "drm_prime.c:drm_gem_prime_export; dma-buf.c:dma_buf_getfile"
    ) { check in
      let buffer = try check.buffer(flags: PrimeFlags.closeOnExec)
      let flags = try check.expect(check.kernel.control(buffer.dmaBuf, F_GETFL, 0, "F_GETFL"))
      check.expect("the access mode", flags & Int(O_ACCMODE), is: Int(O_RDONLY))
    },
    Statement(
      "A12", .core, on: .exporter, "an unknown ioctl is refused", source: "dma-buf.c:dma_buf_ioctl"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      let unknown = IoctlRequest.readWrite("b", 0x7f, "ioctl('b', 0x7f)")
      check.expect(check.kernel.ioctl(dmaBuf, unknown, [0, 0]) { $0.returned }, fails: .notATerminal)
    },
    Statement(
      "A13", .core, on: .exporter, "DMA_BUF_IOCTL_SYNC on an address that is nobody's is refused",
      source: "dma-buf.c:dma_buf_ioctl"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      check.expect(check.kernel.ioctl(dmaBuf, .dmaBufSync, byteCount: 8, at: 8), fails: .badAddress)
    },
    Statement(
      "A14", .core, on: .exporter, "it cannot be opened again through /proc/self/fd",
      source: "fs/libfs.c (a pseudo file system has no open)"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      let answer = check.kernel.open("/proc/self/fd/\(dmaBuf)", flags: O_RDWR)
      check.expectFailure(answer)
      if case .failure(let errno) = answer { check.note("refused with \(errno.name)") }
    },
    Statement(
      "A15", .core, on: .exporter, "O_NONBLOCK is accepted (and changes nothing: see C15)",
      source: "fs/fcntl.c; dma-buf.c has no nonblocking path"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      try check.expect(check.kernel.control(dmaBuf, F_SETFL, Int64(O_NONBLOCK), "F_SETFL, O_NONBLOCK"))
      let flags = try check.expect(check.kernel.control(dmaBuf, F_GETFL, 0, "F_GETFL"))
      check.expect("O_NONBLOCK", flags & Int(O_NONBLOCK), is: Int(O_NONBLOCK))
    },
  ]
}
