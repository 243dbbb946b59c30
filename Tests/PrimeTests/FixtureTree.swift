import Foundation
import Testing

/// A folder that stands for `/` in tests of discovery.
final class FixtureTree {
  /// The tree recorded in the lab; see its README.
  static let lab = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "fixtures/sysfs-lab/tree").path

  let root: String

  /// A temporary folder, empty or with a copy of another tree, removed with this value.
  init(copyOf other: String? = nil) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "prime-tests-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    if let other { try Self.copyEntries(of: other, to: folder.path) }
    // Discovery follows links, and TMPDIR may be one.
    root = try #require(realpath(folder.path, nil).map { String(cString: $0) })
  }

  deinit { try? FileManager.default.removeItem(atPath: root) }

  /// Copies files and links, but no owner, which only root may give away.
  private static func copyEntries(of folder: String, to target: String) throws {
    let files = FileManager.default
    for name in try files.contentsOfDirectory(atPath: folder) {
      let (from, to) = ("\(folder)/\(name)", "\(target)/\(name)")
      let kind = try files.attributesOfItem(atPath: from)[.type] as? FileAttributeType
      switch kind {
      case .typeSymbolicLink:
        try files.createSymbolicLink(atPath: to, withDestinationPath: files.destinationOfSymbolicLink(atPath: from))
      case .typeDirectory:
        try files.createDirectory(atPath: to, withIntermediateDirectories: false)
        try copyEntries(of: from, to: to)
      default: try Data(contentsOf: URL(filePath: from)).write(to: URL(filePath: to))
      }
    }
  }

  func write(_ text: String, to path: String) throws {
    let file = URL(filePath: root + path)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: file)
  }

  func link(_ path: String, to target: String) throws {
    let file = URL(filePath: root + path)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(atPath: file.path, withDestinationPath: target)
  }

  func remove(_ path: String) throws { try FileManager.default.removeItem(atPath: root + path) }

  /// Puts something in the place of a file that is there and answers `ENXIO` whoever opens it.
  func makeUnreadable(_ path: String) throws {
    try remove(path)
    try #require(mknod(root + path, S_IFSOCK | 0o644, 0) == 0)
  }

  /// Adds a node of a device as the kernel shows it.
  func addNode(_ name: String, minor: Int, of device: String) throws {
    try write("226:\(minor)\n", to: "/sys/devices/\(device)/drm/\(name)/dev")
    try link("/sys/devices/\(device)/drm/\(name)/device", to: "../../../" + (device.split(separator: "/").last ?? ""))
    try link("/sys/class/drm/\(name)", to: "../../devices/\(device)/drm/\(name)")
    try write("", to: "/dev/dri/\(name)")
  }

  /// Gives a file permission bits.
  func setMode(_ mode: mode_t, of path: String) throws { try #require(chmod(root + path, mode) == 0) }
}
