import Testing

@testable import Prime

@Suite struct `The list of installed packages` {
  private let packages = InstalledPackages(
    Array(
      """
      Package: adduser
      Status: install ok installed
      Version: 3.134
      Description: add and remove users
       Package: libdrm2
       Version: 1

      Package: libdrm2
      Version: 2.4.114-1+b1

      Package: without-version
      Status: deinstall ok config-files

      Package: libgbm1
      Architecture: amd64
      Version: 22.3.6-1+deb12u1
      """.utf8))

  @Test(arguments: [
    ("adduser", "3.134"), ("libdrm2", "2.4.114-1+b1"), ("libgbm1", "22.3.6-1+deb12u1"), ("without-version", nil),
    ("libgbm", nil), ("", nil),
  ])
  func `has each package's own version`(package: String, version: String?) {
    #expect(packages.version(of: package) == version)
  }

  @Test func `may be empty`() { #expect(InstalledPackages([]).version(of: "libdrm2") == nil) }
}
