internal import Glibc

/// The machine a report was made on: nothing in it names a person or tells one machine from another of its kind.
public struct HostDescription: Hashable, Sendable, Codable {
  /// The kernel's release, for example `6.12.117+deb12-amd64`.
  public var kernel: String
  /// The processor architecture, for example `x86_64`.
  public var architecture: String
  /// The version of libdrm's package, nil where no package database tells.
  public var libdrm: String?
  /// The version of Mesa's libgbm package, nil where no package database tells.
  public var mesa: String?

  /// Describes the machine this process runs on.
  public static func current() -> HostDescription {
    var name = utsname()
    // Safe: uname fills the struct it is given.
    _ = unsafe uname(&name)
    let versions = packageVersions(["libdrm2", "libgbm1"])
    return HostDescription(
      kernel: text(name.release), architecture: text(name.machine), libdrm: versions["libdrm2"],
      mesa: versions["libgbm1"])
  }

  private static func text<Characters: BitwiseCopyable>(_ characters: Characters) -> String {
    // Safe: a fixed array of characters that ends with a zero byte.
    unsafe withUnsafeBytes(of: characters) { bytes in
      unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
  }

  /// Neither library tells its release at run time, so Debian's list of installed packages is asked.
  private static func packageVersions(_ names: Set<String>) -> [String: String] {
    guard let status = FileSystem.text(of: "/var/lib/dpkg/status", limit: 32 << 20) else { return [:] }
    var versions: [String: String] = [:]
    var package = ""
    for line in status.utf8.split(separator: UInt8(ascii: "\n")) {
      if line.starts(with: "Package: ".utf8) { package = String(Substring(line.dropFirst("Package: ".count))) }
      if line.starts(with: "Version: ".utf8), names.contains(package) {
        versions[package] = String(Substring(line.dropFirst("Version: ".count)))
      }
    }
    return versions
  }
}
