/// The files that the kernel shows by their paths: those of sysfs, procfs and debugfs, device nodes and sockets.
package protocol FileCalls {
  /// `opendir(3)` and `readdir(3)`: the names in a folder without `.` and `..`, in no order.
  func readFolder(_ path: String) -> CallResult<[String]>
  /// `open(2)` and `read(2)` to the end, or until `limit` bytes or a few more were read.
  func readFile(_ path: String, limit: Int) -> CallResult<[UInt8]>
  /// The same with `O_NONBLOCK`, of a file that is read like a pipe: what it holds at this moment.
  func readAvailable(_ path: String) -> CallResult<[UInt8]>
  /// `open(2)` and one `write(2)`, as sysfs wants it; `EIO` where fewer bytes were taken.
  func writeFile(_ path: String, _ bytes: [UInt8]) -> CallResult<Void>
  /// `readlink(2)`: what a symbolic link says, as it says it.
  func readLink(_ path: String) -> CallResult<String>
  /// `realpath(3)`: the path with every symbolic link followed.
  func realPath(_ path: String) -> CallResult<String>
  /// `access(2)`, for the real user of the process.
  func access(_ path: String, _ right: FileRight) -> CallResult<Void>
  /// `lstat(2)`: what tells one file from another; a link is not followed.
  func linkStatus(_ path: String) -> CallResult<FileIdentity>
  /// `stat(2)` of what a path leads to, every link followed.
  func pathStatus(_ path: String) -> CallResult<FileStatus>
  /// `unlink(2)`.
  func removeFile(_ path: String) -> CallResult<Void>
  /// `mkdir(2)` for this user alone.
  func createFolder(_ path: String) -> CallResult<Void>
  /// `rmdir(2)`.
  func removeFolder(_ path: String) -> CallResult<Void>
  /// `geteuid(2)`: the user that this process acts as.
  var effectiveUser: UInt32 { get }
}

/// What `access(2)` is asked for.
package enum FileRight: Hashable, Sendable {
  /// That there is something (`F_OK`).
  case existence
  /// To read and write it (`R_OK | W_OK`).
  case readAndWrite
}

/// One file of the file system.
package struct FileIdentity: Hashable, Sendable {
  package var device: UInt64
  package var inode: UInt64
  package var isSocket: Bool

  package init(device: UInt64, inode: UInt64, isSocket: Bool) {
    self.device = device
    self.inode = inode
    self.isSocket = isSocket
  }
}

/// Answers for callers to whom a file that cannot be read is one that is not there.
extension FileCalls {
  /// Names in a folder without `.` and `..`, sorted; empty where it cannot be read.
  package func entries(of folder: String) -> [String] { readableEntries(of: folder) ?? [] }

  /// Names in a folder without `.` and `..`, sorted; nil where it cannot be read.
  package func readableEntries(of folder: String) -> [String]? { try? readFolder(folder).get().sorted() }

  /// A text file without its last line break, at most about `limit` bytes of it; nil where it cannot be read to its end.
  package func text(of path: String, limit: Int = 1 << 20) -> String? {
    bytes(of: path, limit: limit).map(FileText.init)?.string
  }

  /// What a file holds, at most about `limit` bytes of it; nil where it cannot be opened, or not be read to its end.
  package func bytes(of path: String, limit: Int) -> [UInt8]? { try? readFile(path, limit: limit).get() }

  /// What a file that is read like a pipe holds at this moment; nil where it cannot be opened or read.
  package func available(in path: String) -> String? {
    (try? readAvailable(path).get()).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Writes a short text in one call, as sysfs wants it; false where that fails.
  @discardableResult
  package func write(_ text: String, to path: String) -> Bool { writeFile(path, Array(text.utf8)).isSuccess }

  /// What a symbolic link says, as it says it; nil where there is none that may be read.
  package func linkTarget(of path: String) -> String? { try? readLink(path).get() }

  /// The path with every symbolic link followed; nil where it leads nowhere.
  package func resolved(_ path: String) -> String? { try? realPath(path).get() }

  /// Whether something is there, also when it may not be opened.
  package func exists(_ path: String) -> Bool { access(path, .existence).isSuccess }

  /// Whether this process may read and write it.
  package func isWritable(_ path: String) -> Bool { access(path, .readAndWrite).isSuccess }

  /// What tells one file from another, without following a link; nil where there is none.
  package func identity(of path: String) -> FileIdentity? { try? linkStatus(path).get() }

  /// Removes a file; false where that fails.
  @discardableResult
  package func remove(_ path: String) -> Bool { removeFile(path).isSuccess }
}

extension Result where Success == Void, Failure == Errno {
  fileprivate var isSuccess: Bool {
    if case .success = self { true } else { false }
  }
}

/// The text of a file, whose last line break ends it and is none of it.
struct FileText {
  let string: String

  init(_ bytes: [UInt8]) {
    var end = bytes.count
    while end > 0, bytes[end - 1] == UInt8(ascii: "\n") { end -= 1 }
    string = String(decoding: bytes[..<end], as: UTF8.self)
  }
}

extension String {
  /// The last component of a path.
  package var lastComponent: String { split(separator: "/").last.map(String.init) ?? self }
}
