internal import Glibc

extension LinuxKernel {
  package func readFolder(_ path: String) -> CallResult<[String]> {
    // Safe: readdir's entry is copied before the next call, and the folder is closed once.
    guard let directory = unsafe opendir(path) else { return Self.failure() }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return .success(names)
  }

  package func readFile(_ path: String, limit: Int) -> CallResult<[UInt8]> {
    Self.contents(of: path, limit: limit, flags: 0)
  }

  package func readAvailable(_ path: String) -> CallResult<[UInt8]> {
    Self.contents(of: path, limit: .max, flags: O_NONBLOCK)
  }

  /// Reads to the end, or with `O_NONBLOCK` until there is no more for now.
  private static func contents(of path: String, limit: Int, flags: CInt) -> CallResult<[UInt8]> {
    opened(path, O_RDONLY | flags).flatMap { descriptor in
      defer { _ = Glibc.close(descriptor) }
      var bytes: [UInt8] = []
      var chunk = [UInt8](repeating: 0, count: 16384)
      while bytes.count < limit {
        // What is longer than a file of sysfs may be a megabyte.
        if bytes.count == chunk.count { chunk = [UInt8](repeating: 0, count: 1 << 18) }
        // Safe: read fills at most the chunk it is given.
        let count = restarted { unsafe Glibc.read(descriptor, &chunk, chunk.count) }
        if count < 0 && Glibc.errno == EAGAIN && flags & O_NONBLOCK != 0 { break }
        guard count >= 0 else { return failure() }
        guard count > 0 else { break }
        bytes.append(contentsOf: chunk.prefix(count))
      }
      return .success(bytes)
    }
  }

  package func writeFile(_ path: String, _ bytes: [UInt8]) -> CallResult<Void> {
    Self.opened(path, O_WRONLY).flatMap { descriptor in
      defer { _ = Glibc.close(descriptor) }
      // Safe: all of the bytes are read and no more.
      let count = Self.restarted { unsafe Glibc.write(descriptor, bytes, bytes.count) }
      guard count >= 0 else { return Self.failure() }
      return count == bytes.count ? .success(()) : .failure(.inputOutput)
    }
  }

  package func readLink(_ path: String) -> CallResult<String> {
    var target = [CChar](repeating: 0, count: Int(PATH_MAX))
    // Safe: readlink writes at most the count it is told and answers how many it wrote.
    let count = unsafe readlink(path, &target, target.count)
    guard count >= 0 else { return Self.failure() }
    return .success(String(decoding: target.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self))
  }

  package func realPath(_ path: String) -> CallResult<String> {
    // Safe: realpath allocates the answer, which is copied and freed.
    guard let answer = unsafe Glibc.realpath(path, nil) else { return Self.failure() }
    defer { unsafe free(answer) }
    return unsafe .success(String(cString: answer))
  }

  package func access(_ path: String, _ right: FileRight) -> CallResult<Void> {
    // Safe: the path is copied for the call.
    Self.done(unsafe Glibc.access(path, right == .existence ? F_OK : R_OK | W_OK))
  }

  package func linkStatus(_ path: String) -> CallResult<FileIdentity> {
    var status = stat()
    // Safe: lstat fills the struct it is given.
    return Self.done(unsafe lstat(path, &status)).map {
      FileIdentity(
        device: UInt64(status.st_dev), inode: UInt64(status.st_ino), isSocket: status.st_mode & S_IFMT == S_IFSOCK)
    }
  }

  package func pathStatus(_ path: String) -> CallResult<FileStatus> {
    var status = stat()
    // Safe: fstatat fills the struct it is given.
    return Self.done(unsafe fstatat(AT_FDCWD, path, &status, 0)).map { Self.fileStatus(status) }
  }

  package func removeFile(_ path: String) -> CallResult<Void> {
    // Safe: the path is copied for the call.
    Self.done(unsafe unlink(path))
  }

  package func createFolder(_ path: String) -> CallResult<Void> {
    // Safe: the path is copied for the call.
    Self.done(unsafe mkdir(path, 0o700))
  }

  package func removeFolder(_ path: String) -> CallResult<Void> {
    // Safe: the path is copied for the call.
    Self.done(unsafe rmdir(path))
  }

  package var effectiveUser: UInt32 { geteuid() }

  /// Opens a file close-on-exec; a signal that came meanwhile is no failure.
  private static func opened(_ path: String, _ flags: CInt) -> CallResult<CInt> {
    // Safe: the path is copied for the call.
    let descriptor = restarted { Int(unsafe Glibc.open(path, flags | O_CLOEXEC)) }
    return descriptor < 0 ? failure() : .success(CInt(descriptor))
  }

  /// Makes a call again while a signal interrupts it, which no signals do a hundred times.
  private static func restarted(_ call: () -> Int) -> Int {
    for _ in 0..<99 {
      let answer = call()
      if answer >= 0 || Glibc.errno != EINTR { return answer }
    }
    return call()
  }

  /// What a call of the C library that answered 0 or -1 did.
  private static func done(_ answer: CInt) -> CallResult<Void> { answer == 0 ? .success(()) : failure() }

  /// The errno of a call of the C library that has just failed.
  private static func failure<Value>() -> CallResult<Value> { .failure(Errno(rawValue: Glibc.errno)) }
}
