internal import Glibc

/// Small reads of sysfs, procfs and the device folder.
///
/// All answers are optional: what is not there is not an error.
package enum FileSystem {
  /// Names in a folder without `.` and `..`, sorted; empty where it cannot be read.
  package static func entries(of folder: String) -> [String] { readableEntries(of: folder) ?? [] }

  /// Names in a folder without `.` and `..`, sorted; nil where it cannot be read.
  package static func readableEntries(of folder: String) -> [String]? {
    // Safe: readdir's entry is copied before the next call, and the folder is closed once.
    guard let directory = unsafe opendir(folder) else { return nil }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// A text file without its last line break, at most about `limit` bytes of it.
  package static func text(of path: String, limit: Int = 1 << 20) -> String? {
    guard var bytes = bytes(of: path, limit: limit) else { return nil }
    while bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// What a file holds, at most about `limit` bytes of it; nil where it cannot be opened, or not be read to its end.
  package static func bytes(of path: String, limit: Int) -> [UInt8]? { bytes(of: path, limit: limit, flags: 0) }

  /// What a file that is read like a pipe holds at this moment; nil where it cannot be opened or read.
  package static func available(in path: String) -> String? {
    bytes(of: path, limit: .max, flags: O_NONBLOCK).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Reads to the end, or with `O_NONBLOCK` until there is no more for now.
  private static func bytes(of path: String, limit: Int, flags: CInt) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | flags)
    guard descriptor >= 0 else { return nil }
    defer { _ = Glibc.close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16384)
    while bytes.count < limit {
      // What is longer than a file of sysfs may be a megabyte.
      if bytes.count == chunk.count { chunk = [UInt8](repeating: 0, count: 1 << 18) }
      // Safe: read fills at most the chunk it is given.
      let count = restarted { unsafe Glibc.read(descriptor, &chunk, chunk.count) }
      if count < 0 && Glibc.errno == EAGAIN && flags & O_NONBLOCK != 0 { break }
      guard count >= 0 else { return nil }
      guard count > 0 else { break }
      bytes.append(contentsOf: chunk.prefix(count))
    }
    return bytes
  }

  /// Writes a short text in one call, as sysfs wants it; false where that fails.
  @discardableResult
  package static func write(_ text: String, to path: String) -> Bool {
    let descriptor = open(path, O_WRONLY)
    guard descriptor >= 0 else { return false }
    defer { _ = Glibc.close(descriptor) }
    let bytes = Array(text.utf8)
    // Safe: all of the bytes are read and no more.
    return restarted { unsafe Glibc.write(descriptor, bytes, bytes.count) } == bytes.count
  }

  /// Opens a file close-on-exec; a signal that came meanwhile is no failure.
  private static func open(_ path: String, _ flags: CInt) -> CInt {
    // Safe: the path is copied for the call.
    CInt(restarted { Int(unsafe Glibc.open(path, flags | O_CLOEXEC)) })
  }

  /// Makes a call again while a signal interrupts it, which no signals do a hundred times.
  private static func restarted(_ call: () -> Int) -> Int {
    for _ in 0..<99 {
      let answer = call()
      if answer >= 0 || Glibc.errno != EINTR { return answer }
    }
    return call()
  }

  /// What a symbolic link says, as it says it.
  package static func linkTarget(of path: String) -> String? {
    var target = [CChar](repeating: 0, count: Int(PATH_MAX))
    // Safe: readlink writes at most the count it is told and answers how many it wrote.
    let count = unsafe readlink(path, &target, target.count)
    guard count > 0 else { return nil }
    return String(decoding: target.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// The path with every symbolic link followed.
  package static func resolved(_ path: String) -> String? {
    // Safe: realpath allocates the answer, which is copied and freed.
    guard let answer = unsafe Glibc.realpath(path, nil) else { return nil }
    defer { unsafe free(answer) }
    return unsafe String(cString: answer)
  }

  /// Whether something is there, also when it may not be opened.
  package static func exists(_ path: String) -> Bool {
    // Safe: the path is copied for the call.
    unsafe access(path, F_OK) == 0
  }

  /// Whether this process may read and write it.
  package static func isWritable(_ path: String) -> Bool {
    // Safe: the path is copied for the call.
    unsafe access(path, R_OK | W_OK) == 0
  }

  /// What tells one file from another, without following a link; nil where there is none.
  package static func identity(of path: String) -> FileIdentity? {
    var status = stat()
    // Safe: lstat fills the struct it is given.
    guard unsafe lstat(path, &status) == 0 else { return nil }
    return FileIdentity(
      device: UInt64(status.st_dev), inode: UInt64(status.st_ino), isSocket: status.st_mode & S_IFMT == S_IFSOCK)
  }

  /// The inode and the size in bytes of what a path leads to, every link followed; nil where there is nothing, or no way to it.
  package static func inodeAndSize(of path: String) -> (inode: UInt64, byteCount: Int)? {
    var status = stat()
    // Safe: fstatat fills the struct it is given.
    guard unsafe fstatat(AT_FDCWD, path, &status, 0) == 0 else { return nil }
    return (UInt64(status.st_ino), Int(status.st_size))
  }

  /// Removes a file; false where that fails.
  @discardableResult
  package static func remove(_ path: String) -> Bool {
    // Safe: the path is copied for the call.
    unsafe unlink(path) == 0
  }

  /// Creates an empty folder; false where that fails.
  package static func create(folder: String) -> Bool {
    // Safe: the path is copied for the call.
    unsafe mkdir(folder, 0o700) == 0
  }

  /// Removes an empty folder, or one of a file system of the kernel's; false where that fails.
  @discardableResult
  package static func remove(folder: String) -> Bool {
    // Safe: the path is copied for the call.
    unsafe rmdir(folder) == 0
  }

  /// The user that this process acts as.
  package static var effectiveUser: UInt32 { geteuid() }

  /// The last component of a path.
  package static func lastComponent(of path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }
}

/// One file of the file system.
package struct FileIdentity: Hashable, Sendable {
  package var device: UInt64
  package var inode: UInt64
  package var isSocket: Bool
}
