import Glibc
import Prime

/// A file that the command line names for a result.
///
/// It appears under its name when it is complete: until then its bytes are in a hidden file beside it. One that was there
/// before is replaced, or stays as it was. One process may write it and another one keep it.
package struct OutputFile: Sendable {
  /// As it was given.
  package let path: String
  /// What it is to hold, for messages: `file`, `PNG file`.
  private let kind: String
  private let temporary: String
  /// Whether it is a pipe, a terminal or a device, which is written as it is.
  private let isStream: Bool

  /// Sees whether it can be written, before there is anything to write; nothing is left of that.
  ///
  /// - Throws: Why it cannot. A symbolic link is not followed, since whoever can make links in the folder could have any
  ///   file of the caller's replaced.
  package init(_ path: String, kind: String = "file", takesStreams: Bool = true) throws(OutputError) {
    self.path = path
    self.kind = kind
    let slash = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
    temporary = "\(path[..<slash]).\(path[slash...]).\(getpid()).part"
    switch Self.type(of: path, following: false) {
    case S_IFLNK:
      guard let target = Self.type(of: path, following: true), target != S_IFREG, target != S_IFDIR else {
        throw OutputError("\(path) is a symbolic link, which is not followed: give the name of the \(kind) itself")
      }
      isStream = true
    case nil, S_IFREG: isStream = false
    case S_IFDIR: throw OutputError(path, kind, errno: EISDIR)
    default: isStream = true
    }
    if isStream {
      // A rename would put the result in the place of a device node, /dev/null for one.
      guard takesStreams else { throw OutputError(path, kind, errno: ESPIPE) }
      return
    }
    _ = Glibc.close(try begun())
    discard()
  }

  /// Writes the bytes, beside the file where it is one.
  ///
  /// - Parameter body: Writes them to the descriptor and closes it; what stopped it, if anything did.
  package func write(_ body: (CInt) -> Failure?) throws(OutputError) {
    guard let failure = body(try begun()) else { return }
    discard()
    throw switch failure {
    case .errno(let number): OutputError(path, kind, errno: number)
    case .sentence(let text): OutputError("\(path) cannot be written: \(text)")
    }
  }

  /// What stops a write.
  package enum Failure {
    /// A call of the kernel.
    case errno(CInt)
    /// Something else, in words.
    case sentence(String)
  }

  /// Writes all of the text and gives the file its name.
  package func write(_ text: String) throws(OutputError) {
    try write { descriptor in
      let number = Descriptors.write(text, to: descriptor)
      // Some file systems tell only now that there was no space.
      let isClosed = Glibc.close(descriptor) == 0
      return (number ?? (isClosed ? nil : Glibc.errno)).map(Failure.errno)
    }
    try keep()
  }

  /// Gives it its name, in place of a file that was there.
  package func keep() throws(OutputError) {
    guard !isStream else { return }
    // Safe: both strings live as long as the call.
    guard unsafe rename(temporary, path) == 0 else {
      let number = Glibc.errno
      discard()
      throw OutputError(path, kind, errno: number)
    }
  }

  /// Removes what was written and not kept.
  package func discard() {
    guard !isStream else { return }
    // Safe: the string lives as long as the call.
    unsafe unlink(temporary)
  }

  private func begun() throws(OutputError) -> CInt {
    // What a killed process of this number left is in nobody's use.
    discard()
    let flags = isStream ? O_WRONLY | O_CLOEXEC | O_NOCTTY : O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC
    // Safe: the string lives as long as the call.
    let descriptor = unsafe open(isStream ? path : temporary, flags, 0o666)
    guard descriptor >= 0 else { throw OutputError(path, kind, errno: Glibc.errno) }
    return descriptor
  }

  /// `S_IFREG` and its kin; nil where there is nothing, or nothing can be seen.
  private static func type(of path: String, following: Bool) -> mode_t? {
    var there = stat()
    // Safe: both arguments live as long as the call.
    let status = unsafe following ? stat(path, &there) : lstat(path, &there)
    return status == 0 ? there.st_mode & S_IFMT : nil
  }
}

/// Why a result could not be written to its file, in a sentence.
package struct OutputError: Error, CustomStringConvertible {
  package let description: String

  init(_ sentence: String) {
    description = sentence
  }

  init(_ path: String, _ kind: String, errno: CInt) {
    switch errno {
    case EISDIR: description = "\(path) is a folder; give the name of a \(kind)"
    case ESPIPE: description = "\(path) is no regular file; give the name of a \(kind)"
    case ENOENT, ENOTDIR: description = "\(path) cannot be written: its folder is not there; make it first"
    case ENOSPC, EDQUOT: description = "\(path) cannot be written: the disk is full; nothing was written"
    case EFBIG:
      description = "\(path) cannot be written: it would be larger than the limit for files; nothing was written"
    default: description = "\(path) cannot be written: \(Errno(rawValue: errno))"
    }
  }
}
