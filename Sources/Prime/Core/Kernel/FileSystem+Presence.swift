internal import Glibc

/// Reads that tell what is not there from what could not be looked at: the second is an error.
extension FileSystem {
  /// Names in a folder without `.` and `..`, sorted; empty where there is no such folder.
  package static func presentEntries(of folder: String) throws(PrimeError) -> [String] {
    try present("opendir", folder, readableEntries) ?? []
  }

  /// A text file without its last line break; nil where there is no such file.
  package static func presentText(of path: String) throws(PrimeError) -> String? {
    try present("read", path) { text(of: $0) }
  }

  /// The path with every symbolic link followed; nil where it leads nowhere.
  package static func presentTarget(of path: String) throws(PrimeError) -> String? {
    try present("realpath", path, resolved)
  }

  /// What `look` answers; nil where it failed because nothing is there.
  ///
  /// A device that goes while its files are read answers `ENODEV`, and its files are gone a moment later. Where they stay,
  /// it is no absence.
  private static func present<Answer>(
    _ operation: PrimeError.Operation, _ path: String, _ look: (String) -> Answer?
  ) throws(PrimeError) -> Answer? {
    var errno = Errno(rawValue: 0)
    for _ in 0..<looksWhileGoing {
      Glibc.errno = 0
      if let answer = look(path) { return answer }
      errno = Errno(rawValue: Glibc.errno)
      if [.noSuchFile, Errno(rawValue: ENOTDIR)].contains(errno) { return nil }
      guard [.noSuchDevice, .noSuchAddress].contains(errno) else { break }
      guard exists(path) else { return nil }
      Pause.milliseconds(5)
    }
    _ = try CallResult<Void>.failure(errno).orThrow(operation, on: path)
    return nil
  }

  /// A tenth of a second in all.
  private static let looksWhileGoing = 20
}
