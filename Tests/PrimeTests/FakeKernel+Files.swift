import Glibc
import Prime
import Synchronization

/// The files of a fake kernel below `/sys`, `/proc` and `/dev`; a folder is there where something is in it.
///
/// Every other path leads to the disk, where fixtures lie.
struct FakeFiles: Sendable {
  enum Content: Hashable, Sendable {
    case text(String)
    case link(String)
  }

  struct Written: Hashable, Sendable {
    var path: String
    var text: String
  }

  /// A machine has memory.
  var contents: [String: Content] = ["/proc/meminfo": .text("MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n")]
  /// What was written, in order; a file that is written holds what it was given last.
  var written: [Written] = []
  var folders: Set<String> = []

  static func isOfDisk(_ path: String) -> Bool {
    !["/sys/", "/proc/", "/dev/"].contains(where: "\(path)/".hasPrefix)
  }

  /// The path with every link followed, as far as it leads.
  func resolved(_ path: String) throws(Errno) -> String {
    var left = path.split(separator: "/").map(String.init)[...]
    var found = ""
    var links = 0
    while let part = left.popFirst() {
      if part == ".." {
        found = found.lastIndex(of: "/").map { String(found[..<$0]) } ?? ""
        continue
      }
      guard case .link(let target)? = contents["\(found)/\(part)"] else {
        found += "/\(part)"
        continue
      }
      links += 1
      guard links < 40 else { throw Errno(rawValue: ELOOP) }
      if target.hasPrefix("/") { found = "" }
      left = target.split(separator: "/").map(String.init)[...] + left
    }
    return found
  }

  func isFolder(_ path: String) -> Bool {
    folders.contains(path) || contents.keys.contains { $0.hasPrefix("\(path)/") }
  }

  func names(in folder: String) throws(Errno) -> [String] {
    let folder = try resolved(folder)
    guard isFolder(folder) else { throw contents[folder] == nil ? .noSuchFile : Errno(rawValue: ENOTDIR) }
    let below = (Array(contents.keys) + folders).filter { $0.hasPrefix("\(folder)/") }
    return Set(below.compactMap { $0.dropFirst(folder.count + 1).split(separator: "/").first.map(String.init) })
      .sorted()
  }

  func text(of path: String) throws(Errno) -> String {
    guard case .text(let text)? = contents[try resolved(path)] else { throw .noSuchFile }
    return text
  }
}

extension FakeKernel {
  /// Adds a file, or gives one that is there another content.
  func addFile(_ path: String, _ text: String) {
    state.withLock { $0.tree.contents[path] = .text(text) }
  }

  func addLink(_ path: String, to target: String) {
    state.withLock { $0.tree.contents[path] = .link(target) }
  }

  func removeFiles(below folder: String) {
    state.withLock { state in state.tree.contents = state.tree.contents.filter { !$0.key.hasPrefix("\(folder)/") } }
  }

  /// What was written to files by their paths, in order.
  var writtenFiles: [FakeFiles.Written] { state.withLock { $0.tree.written } }

  /// Answers for a path of this kernel's, or has the disk answer.
  private func file<Value: Sendable>(
    _ path: String, onDisk: (String) -> CallResult<Value>, _ body: (inout FakeFiles) throws -> Value
  ) -> CallResult<Value> {
    let refusal = state.withLock { $0.faults.closedPaths.first { path.hasSuffix($0.key) }?.value }
    if let refusal { return .failure(refusal) }
    if FakeFiles.isOfDisk(path) { return onDisk(path) }
    return state.withLock { state in
      do {
        return .success(try body(&state.tree))
      } catch let errno as Errno {
        return .failure(errno)
      } catch {
        fatalError("the fake kernel threw \(error)")
      }
    }
  }

  func readFolder(_ path: String) -> CallResult<[String]> {
    if path == "/proc/self/fd" { return .success(state.withLock { $0.descriptors.keys.map(String.init) }) }
    return file(path, onDisk: LinuxKernel().readFolder) { try $0.names(in: path) }
  }

  func readFile(_ path: String, limit: Int) -> CallResult<[UInt8]> {
    file(path, onDisk: { LinuxKernel().readFile($0, limit: limit) }) { Array(try $0.text(of: path).utf8) }
  }

  func readAvailable(_ path: String) -> CallResult<[UInt8]> {
    file(path, onDisk: LinuxKernel().readAvailable) { files in
      let text = try files.text(of: path)
      files.contents[try files.resolved(path)] = .text("")
      return Array(text.utf8)
    }
  }

  func writeFile(_ path: String, _ bytes: [UInt8]) -> CallResult<Void> {
    file(path, onDisk: { LinuxKernel().writeFile($0, bytes) }) { files in
      _ = try files.text(of: path)
      let text = String(decoding: bytes, as: UTF8.self)
      files.contents[try files.resolved(path)] = .text(text)
      files.written.append(FakeFiles.Written(path: path, text: text))
    }
  }

  func readLink(_ path: String) -> CallResult<String> {
    if path.hasPrefix("/proc/self/fd/") {
      let kind = state.withLock { state in CInt(path.lastComponent).flatMap { state.descriptors[$0] } }
      return kind.map { .success($0.linkTarget) } ?? .failure(.noSuchFile)
    }
    return file(path, onDisk: LinuxKernel().readLink) { files in
      let folder = try files.resolved(String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)]))
      switch files.contents["\(folder)/\(path.lastComponent)"] {
      case .link(let target): return target
      case .text: throw Errno.invalidArgument
      case nil: throw Errno.noSuchFile
      }
    }
  }

  func realPath(_ path: String) -> CallResult<String> {
    file(path, onDisk: LinuxKernel().realPath) { files in
      let found = try files.resolved(path)
      guard files.contents[found] != nil || files.isFolder(found) else { throw Errno.noSuchFile }
      return found
    }
  }

  func access(_ path: String, _ right: FileRight) -> CallResult<Void> {
    // A node is there and may be opened unless it is told to be closed.
    let isNode = state.withLock { $0.isNode(path) }
    return file(path, onDisk: { LinuxKernel().access($0, right) }) { files in
      let found = try files.resolved(path)
      guard isNode || files.contents[found] != nil || files.isFolder(found) else { throw Errno.noSuchFile }
    }
  }

  func linkStatus(_ path: String) -> CallResult<FileIdentity> {
    file(path, onDisk: LinuxKernel().linkStatus) { files in
      guard files.contents[path] != nil || files.isFolder(path) else { throw Errno.noSuchFile }
      return FileIdentity(device: 1, inode: FakeFiles.inode(of: path), isSocket: false)
    }
  }

  func pathStatus(_ path: String) -> CallResult<FileStatus> {
    file(path, onDisk: LinuxKernel().pathStatus) { files in
      let text = try files.text(of: path)
      return FileStatus(
        device: 1, inode: FakeFiles.inode(of: try files.resolved(path)), byteCount: Int64(text.utf8.count),
        characterDevice: nil)
    }
  }

  func removeFile(_ path: String) -> CallResult<Void> {
    file(path, onDisk: LinuxKernel().removeFile) { files in
      guard files.contents.removeValue(forKey: path) != nil else { throw Errno.noSuchFile }
    }
  }

  func createFolder(_ path: String) -> CallResult<Void> {
    file(path, onDisk: LinuxKernel().createFolder) { files in
      guard !files.isFolder(path) else { throw Errno(rawValue: EEXIST) }
      files.folders.insert(path)
    }
  }

  func removeFolder(_ path: String) -> CallResult<Void> {
    file(path, onDisk: LinuxKernel().removeFolder) { files in
      guard files.folders.remove(path) != nil else { throw Errno.noSuchFile }
    }
  }

  var effectiveUser: UInt32 { FakeSockets.ownUser }
}

extension FakeKernel.FileKind {
  /// What the link of such a descriptor says in `/proc/self/fd`.
  fileprivate var linkTarget: String {
    switch self {
    case .node(let device, let isRender): "/dev/dri/\(isRender ? "renderD\(128 + device)" : "card\(device)")"
    case .plain(let path): path
    case .memory(let number): "/memfd:prime-tool \(number) (deleted)"
    case .dmaBuf: "/dmabuf:"
    case .fence, .syncFile: "anon_inode:sync_file"
    case .syncobj: "anon_inode:syncobj_file"
    case .socket(let number): "socket:[\(number)]"
    case .checksumControl, .checksumData: "/sys/kernel/debug/dri/crc"
    case .iteratorProgram, .iteratorLink, .iterator: "anon_inode:bpf"
    }
  }
}

extension FakeFiles {
  /// A number that is the same for a path every time.
  static func inode(of path: String) -> UInt64 {
    path.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }
}

extension FakeKernel.State {
  /// Whether `open` would find a node there.
  func isNode(_ path: String) -> Bool {
    otherNodes.contains(path) || checksumFile(path) != nil
      || devices.contains { [$0.setup.primary, $0.setup.render].contains(path) }
  }
}
