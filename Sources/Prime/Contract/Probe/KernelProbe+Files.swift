internal import CProbe
internal import Glibc
package import Prime
internal import Synchronization

/// Where `lseek` counts from.
package enum SeekOrigin: Int32, Sendable {
  case set = 0
  case current = 1
  case end = 2
  case data = 3
  case hole = 4
}

extension KernelProbe {
  /// `open(2)` with `O_CLOEXEC`.
  package func open(_ path: String, flags: Int32) -> CallResult<CInt> {
    adopting(
      call("open", "\(path), 0x\(hexadecimal(UInt64(flags), digits: 1))") {
        unrecorded.open(path, flags: flags)
      })
  }

  /// `close(2)`.
  package func close(_ descriptor: CInt) -> CallResult<Int> {
    // Only a descriptor of the statement's own leaves the list; closing a number that is nobody's is a test.
    state.withLock { state in
      if let index = state.open.firstIndex(of: descriptor) { state.open.remove(at: index) }
    }
    return simple("close", "\(descriptor)", SYS_close, Int64(descriptor))
  }

  /// `dup(2)`.
  package func duplicate(_ descriptor: CInt) -> CallResult<CInt> {
    adopting(call("dup", "\(descriptor)") { Self.system(SYS_dup, Int64(descriptor)).map(CInt.init) })
  }

  /// `lseek(2)`.
  package func seek(_ descriptor: CInt, _ offset: Int64, _ origin: SeekOrigin) -> CallResult<Int64> {
    let names: [SeekOrigin: String] = [
      .set: "SEEK_SET", .current: "SEEK_CUR", .end: "SEEK_END", .data: "SEEK_DATA", .hole: "SEEK_HOLE",
    ]
    return call("lseek", "\(descriptor), \(offset), \(names[origin] ?? "")") {
      Self.system(SYS_lseek, Int64(descriptor), offset, Int64(origin.rawValue))
    }
  }

  /// `read(2)` of at most `byteCount` bytes.
  package func read(_ descriptor: CInt, byteCount: Int) -> CallResult<[UInt8]> {
    let memory = memory(byteCount: byteCount)
    return call("read", "\(descriptor), \(byteCount)") {
      Self.system(SYS_read, Int64(descriptor), Int64(memory.address), Int64(byteCount))
        .map { Array(memory.bytes.prefix(Int($0))) }
    }
  }

  /// `write(2)` of zeros.
  package func write(_ descriptor: CInt, byteCount: Int) -> CallResult<Int> {
    simple(
      "write", "\(descriptor), \(byteCount)", SYS_write, Int64(descriptor), Int64(memory(byteCount: byteCount).address),
      Int64(byteCount))
  }

  /// `pread(2)`.
  package func read(_ descriptor: CInt, byteCount: Int, at offset: Int64) -> CallResult<Int> {
    simple(
      "pread", "\(descriptor), \(byteCount), \(offset)", SYS_pread64, Int64(descriptor),
      Int64(memory(byteCount: byteCount).address), Int64(byteCount), offset)
  }

  /// `pwrite(2)` of zeros.
  package func write(_ descriptor: CInt, byteCount: Int, at offset: Int64) -> CallResult<Int> {
    simple(
      "pwrite", "\(descriptor), \(byteCount), \(offset)", SYS_pwrite64, Int64(descriptor),
      Int64(memory(byteCount: byteCount).address), Int64(byteCount), offset)
  }

  /// `ftruncate(2)`.
  package func truncate(_ descriptor: CInt, byteCount: Int64) -> CallResult<Int> {
    simple("ftruncate", "\(descriptor), \(byteCount)", SYS_ftruncate, Int64(descriptor), byteCount)
  }

  /// `fallocate(2)` from the file's beginning.
  package func allocate(_ descriptor: CInt, byteCount: Int64) -> CallResult<Int> {
    simple("fallocate", "\(descriptor), 0, 0, \(byteCount)", SYS_fallocate, Int64(descriptor), 0, 0, byteCount)
  }

  /// `fsync(2)`.
  package func flush(_ descriptor: CInt) -> CallResult<Int> {
    simple("fsync", "\(descriptor)", SYS_fsync, Int64(descriptor))
  }

  /// `fstat(2)`.
  package func status(_ descriptor: CInt) -> CallResult<FileStatus> {
    call("fstat", "\(descriptor)") { unrecorded.status(descriptor) }
  }

  /// `fstatfs(2)`: the file system's magic number.
  package func fileSystemMagic(_ descriptor: CInt) -> CallResult<UInt64> {
    call("fstatfs", "\(descriptor)") { unrecorded.fileSystemMagic(descriptor) }
  }

  /// `fcntl(2)` with a number.
  package func control(
    _ descriptor: CInt, _ command: Int32, _ argument: Int64 = 0, _ name: String
  ) -> CallResult<Int> {
    simple("fcntl", "\(descriptor), \(name)", SYS_fcntl, Int64(descriptor), Int64(command), argument)
  }

  /// `readlink(2)` of this process's own link to an open file.
  package func link(of descriptor: CInt) -> CallResult<String> {
    call("readlink", "/proc/self/fd/\(descriptor)") {
      unrecorded.readLink("/proc/self/fd/\(descriptor)")
    }
  }

  /// A whole text file, for example of procfs or debugfs.
  package func text(of path: String) -> CallResult<String> {
    call("read", path) { unrecorded.text(of: path, limit: 16 << 20).map { .success($0) } ?? .failure(.noSuchFile) }
  }

  /// `poll(2)` of one descriptor: `revents`, 0 after the time.
  package func poll(_ descriptor: CInt, events: Int16, milliseconds: Int32) -> CallResult<Int16> {
    call("poll", "\(descriptor), 0x\(hexadecimal(UInt64(events), digits: 1)), \(milliseconds) ms") {
      while true {
        let result = unrecorded.poll(descriptor, events: events, milliseconds: milliseconds)
        if case .failure(.interrupted) = result { continue }
        return result
      }
    }
  }

  /// `kcmp(2)` with `KCMP_FILE` in this process: 0 where both are the same open file.
  package func compareFiles(_ one: CInt, _ other: CInt) -> CallResult<Int> {
    simple(
      "kcmp", "KCMP_FILE, \(one), \(other)", SYS_kcmp, Int64(getpid()), Int64(getpid()), 0, Int64(one), Int64(other))
  }

  /// `memfd_create(2)` of `byteCount` bytes; `seals` (`MemorySeals`) are added after that.
  package func createMemory(byteCount: Int64, seals: Int32) -> CallResult<CInt> {
    adopting(
      call("memfd_create", "\(byteCount) bytes, seals 0x\(hexadecimal(UInt64(seals), digits: 1))") {
        // Safe: the name is copied for the call.
        let descriptor = unsafe "prime-tool".withCString { name in
          Self.system(SYS_memfd_create, Int64(Int(bitPattern: name)), Int64(MFD_CLOEXEC | MFD_ALLOW_SEALING))
        }
        return descriptor.flatMap { number in
          let made = Self.system(SYS_ftruncate, number, byteCount)
            .flatMap { _ in
              seals == 0 ? .success(0) : Self.system(SYS_fcntl, number, Int64(MemorySeals.add), Int64(seals))
            }
            .map { _ in CInt(number) }
          if case .failure = made { _ = Glibc.close(CInt(number)) }
          return made
        }
      })
  }

  /// A call that answers a number, with the errno otherwise.
  func simple(
    _ name: String, _ arguments: String, _ number: Int32, _ a: Int64 = 0, _ b: Int64 = 0, _ c: Int64 = 0,
    _ d: Int64 = 0,
    _ e: Int64 = 0, _ f: Int64 = 0
  ) -> CallResult<Int> {
    call(name, arguments) { Self.system(number, a, b, c, d, e, f).map(Int.init) }
  }

  /// Notes a descriptor that the statement now owns, so that `cleanUp` closes it.
  package func adopting(_ result: CallResult<CInt>) -> CallResult<CInt> {
    if case .success(let descriptor) = result, descriptor > STDERR_FILENO { adopt(descriptor) }
    return result
  }

  /// Notes a descriptor that came as a part of an answer, and which dma-buf it is where it is one.
  package func adopt(_ descriptor: CInt) {
    let inode: UInt64? =
      if case .success(FileSystemMagic.dmaBuf) = unrecorded.fileSystemMagic(descriptor),
        case .success(let status) = unrecorded.status(descriptor)
      { status.inode } else { nil }
    state.withLock { state in
      state.open.append(descriptor)
      if let inode { state.dmaBufs.insert(inode) }
    }
  }
}
