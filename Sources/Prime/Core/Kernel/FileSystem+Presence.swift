internal import Glibc

/// Reads that tell what is not there from what could not be looked at: the second is an error.
extension FileSystem {
  /// Names in a folder without `.` and `..`, sorted; empty where there is no such folder.
  package static func presentEntries(of folder: String) throws(PrimeError) -> [String] {
    Glibc.errno = 0
    if let names = readableEntries(of: folder) { return names }
    try requireAbsence("opendir", folder)
    return []
  }

  /// A text file without its last line break; nil where there is no such file.
  package static func presentText(of path: String) throws(PrimeError) -> String? {
    Glibc.errno = 0
    if let text = text(of: path) { return text }
    try requireAbsence("read", path)
    return nil
  }

  /// The path with every symbolic link followed; nil where it leads nowhere.
  package static func presentTarget(of path: String) throws(PrimeError) -> String? {
    Glibc.errno = 0
    if let target = resolved(path) { return target }
    try requireAbsence("realpath", path)
    return nil
  }

  /// Throws what the last call failed with, but for what says that nothing is there.
  ///
  /// A device that goes while its files are read answers `ENODEV`.
  private static func requireAbsence(_ operation: String, _ path: String) throws(PrimeError) {
    let errno = Errno(rawValue: Glibc.errno)
    guard ![.noSuchFile, .noSuchDevice, .noSuchAddress, Errno(rawValue: ENOTDIR)].contains(errno) else { return }
    _ = try CallResult<Void>.failure(errno).orThrow(operation, on: path)
  }
}
