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
    // Neither library tells its release at run time, so Debian's list of installed packages is asked.
    let packages = InstalledPackages.current(by: LinuxKernel())
    return HostDescription(
      kernel: text(name.release), architecture: text(name.machine), libdrm: packages?.version(of: "libdrm2"),
      mesa: packages?.version(of: "libgbm1"))
  }

  private static func text<Characters: BitwiseCopyable>(_ characters: Characters) -> String {
    // Safe: a fixed array of characters that ends with a zero byte.
    unsafe withUnsafeBytes(of: characters) { bytes in
      unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
  }
}
