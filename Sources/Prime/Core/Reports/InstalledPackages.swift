/// Debian's list of installed packages, `/var/lib/dpkg/status`: paragraphs of `Name: value` lines, most of a megabyte.
struct InstalledPackages {
  private let status: [UInt8]

  /// The list's text.
  init(_ status: [UInt8]) {
    // So that the first paragraph begins as every other does.
    self.status = [UInt8(ascii: "\n")] + status
  }

  /// This machine's list; nil where it has none.
  static func current(by kernel: any FileCalls) -> InstalledPackages? {
    kernel.bytes(of: "/var/lib/dpkg/status", limit: 32 << 20).map(InstalledPackages.init)
  }

  /// The version of a package, nil where it is not installed.
  func version(of package: String) -> String? {
    guard let name = end(of: "\nPackage: \(package)\n", after: 0) else { return nil }
    // The line end of the name may be that before the version.
    guard let version = end(of: "\nVersion: ", after: name - 1) else { return nil }
    if let next = end(of: "\n\n", after: name - 1), next < version { return nil }
    return String(decoding: status[version...].prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
  }

  /// Where the text behind the first `words` from `start` on begins.
  private func end(of words: String, after start: Int) -> Int? {
    ByteSearch.end(of: Array(words.utf8), in: status, from: start)
  }
}
