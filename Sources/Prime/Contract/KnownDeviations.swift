/// A failure that is known of a driver on a range of kernels, with its explanation.
package struct KnownDeviation: Sendable {
  /// The statements that fail.
  package let ids: Set<String>
  /// The drivers, exporters of the subject for statements about buffers, that they fail on.
  package let drivers: Set<String>
  /// The first kernel that it is known of, nil where it was always so.
  package var since: (major: Int, minor: Int)?
  /// The first kernel that was fixed, nil while none is.
  package let fixedIn: (major: Int, minor: Int)?
  /// How what was seen begins, for every finding that it explains: `success`, an errno's name; empty for whatever was seen.
  package var seen: [String] = []
  /// Why, in a sentence.
  package let explanation: String

  /// Whether it is this and nothing else that was found.
  func explains(_ findings: [Finding]) -> Bool {
    seen.isEmpty || findings.allSatisfy { finding in seen.contains { finding.got.hasPrefix($0) } }
  }

  func applies(to id: String, driver: String, kernel: Machine.KernelVersion) -> Bool {
    guard ids.contains(id), drivers.contains(driver) else { return false }
    if let since, !kernel.isAtLeast(since.major, since.minor) { return false }
    return fixedIn.map { !kernel.isAtLeast($0.major, $0.minor) } ?? true
  }
}

extension Contract {
  /// Every known deviation.
  package static let knownDeviations: [KnownDeviation] = [
    KnownDeviation(
      ids: ["B10", "B11"], drivers: ["vgem", "vkms", "virtio_gpu", "cirrus", "cirrus-qemu", "simpledrm", "udl", "gud"],
      fixedIn: nil, seen: ["page", "zeros"], explanation: shmemIgnoresOffset),
    // Its buffers were in the display's own memory before.
    KnownDeviation(
      ids: ["B10", "B11"], drivers: ["bochs-drm"], since: (6, 13), fixedIn: nil, seen: ["page", "zeros"],
      explanation: shmemIgnoresOffset),
    KnownDeviation(
      ids: ["J05", "J08"], drivers: ["virtio_gpu"], fixedIn: nil, seen: ["EINVAL", "success"],
      explanation:
        "virtio_gpu makes framebuffers with a function of its own, which answers EINVAL for an unknown handle "
        + "and does not compare the rows with the buffer's size: check sizes before ADDFB2"),
    // Seen on 6.1 and not on 6.12; where between them it ended was not looked at.
    KnownDeviation(
      ids: ["J12", "J13"], drivers: ["vkms", "cirrus", "bochs-drm", "qxl"], fixedIn: (6, 12), seen: ["success"],
      explanation:
        "older kernels do not compare the modifier of ADDFB2 with those of the planes, so that a framebuffer can be made "
        + "that no plane shows: look at IN_FORMATS first"),
    KnownDeviation(
      ids: ["K21", "K28"], drivers: ["virtio_gpu"], fixedIn: (6, 12),
      explanation:
        "virtio_gpu of older kernels prepares its planes itself and does not wait for the fences of the buffer: wait "
        + "for them before the flip, or give it IN_FENCE_FD"),
    KnownDeviation(
      ids: ["K18"], drivers: ["qxl"], fixedIn: nil, seen: ["success"],
      explanation: "qxl does not compare the rectangles of its primary plane, so it accepts a scaled one, which the "
        + "device cannot show: do not scale on qxl"),
  ]

  private static let shmemIgnoresOffset =
    "drm_gem_shmem_fault() finds the page by its distance from the mapping's beginning and ignores the offset in the "
    + "buffer, so a mapping at an offset shows the wrong page: map the whole buffer instead"
}
