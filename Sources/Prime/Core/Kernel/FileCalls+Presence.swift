internal import Glibc

/// Reads that tell what is not there from what could not be looked at: the second is an error.
extension KernelCalls {
  /// Names in a folder without `.` and `..`, sorted; empty where there is no such folder.
  package func presentEntries(of folder: String) throws(PrimeError) -> [String] {
    try present("opendir", folder, readFolder)?.sorted() ?? []
  }

  /// A text file without its last line break; nil where there is no such file.
  package func presentText(of path: String) throws(PrimeError) -> String? {
    try present("read", path) { readFile($0, limit: 1 << 20) }.map(FileText.init)?.string
  }

  /// The path with every symbolic link followed; nil where it leads nowhere.
  package func presentTarget(of path: String) throws(PrimeError) -> String? {
    try present("realpath", path, realPath)
  }

  /// What `look` answers; nil where it failed because nothing is there.
  ///
  /// A device that goes while its files are read answers `ENODEV`, and its files are gone a moment later. Where they stay,
  /// it is no absence.
  private func present<Answer>(
    _ operation: PrimeError.Operation, _ path: String, _ look: (String) -> CallResult<Answer>
  ) throws(PrimeError) -> Answer? {
    var answer = look(path)
    for _ in 1..<Self.looksWhileGoing {
      guard case .failure(let errno) = answer else { break }
      if [.noSuchFile, Errno(rawValue: ENOTDIR)].contains(errno) { return nil }
      guard [.noSuchDevice, .noSuchAddress].contains(errno) else { break }
      guard exists(path) else { return nil }
      pause(milliseconds: 5)
      answer = look(path)
    }
    return try answer.orThrow(operation, on: path)
  }

  /// A tenth of a second in all.
  private static var looksWhileGoing: Int { 20 }
}
