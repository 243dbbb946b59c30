internal import Prime

/// A failure that is known of drivers on a range of kernels, with its explanation.
package struct KnownDeviation: Sendable {
  /// Whose failure it is.
  package enum Whose: Hashable, Sendable {
    /// Of drivers built on a helper.
    case family(HelperFamily)
    /// Of these drivers alone, for code of their own; exporters of the subject for statements about buffers.
    case drivers(Set<String>)
    /// Of every driver, since it is in code that they share.
    case everybody
  }

  /// Whether it is a subject's.
  package enum Match: Hashable, Sendable {
    case yes
    case no
    /// It is a helper's, and which helper the driver is built on is not known.
    case unknown
  }

  /// The statements that fail.
  package let ids: Set<String>
  /// Whose it is.
  package let whose: Whose
  /// The first kernel that it is known of, nil where it was always so.
  package var since: (major: Int, minor: Int)?
  /// The first kernel that was fixed, nil while none is.
  package let fixedIn: (major: Int, minor: Int)?
  /// Whose buffers it is known of, where the importer has a copy of them in bounce buffers; nil for whoever's, with a copy or
  /// without.
  package var onlyBouncedFrom: Set<Subject.Exporter>?
  /// How what was seen begins, for every finding that it explains: `success`, an errno's name; empty for whatever was seen.
  package var seen: [String] = []
  /// Why, in a sentence.
  package let explanation: String

  /// Whether it is this and nothing else that was found.
  func explains(_ findings: [Finding]) -> Bool {
    seen.isEmpty || findings.allSatisfy { finding in seen.contains { finding.got.hasPrefix($0) } }
  }

  func match(_ id: String, _ subject: Subject, family: HelperFamily?, kernel: Machine.KernelVersion) -> Match {
    guard ids.contains(id) else { return .no }
    if let onlyBouncedFrom {
      guard subject.isBounced, let exporter = subject.exporter, onlyBouncedFrom.contains(exporter) else { return .no }
    }
    if let since, !kernel.isAtLeast(since.major, since.minor) { return .no }
    if let fixedIn, kernel.isAtLeast(fixedIn.major, fixedIn.minor) { return .no }
    switch whose {
    case .everybody: return .yes
    case .drivers(let drivers): return drivers.contains(subject.driver) ? .yes : .no
    case .family(let known): return family.map { $0 == known ? .yes : .no } ?? .unknown
    }
  }
}

extension Contract {
  /// Every known deviation.
  package static let knownDeviations: [KnownDeviation] = [
    KnownDeviation(
      ids: ["B10", "B11"], whose: .family(.shmem), fixedIn: nil, seen: ["page", "zeros"],
      explanation:
        "drm_gem_shmem_fault() finds the page by its distance from the mapping's beginning and ignores the offset in the "
        + "buffer, so a mapping at an offset shows the wrong page: map the whole buffer instead"),
    KnownDeviation(
      ids: ["G18", "J05", "J08"], whose: .drivers(["virtio_gpu"]), fixedIn: nil, seen: ["EINVAL", "success"],
      explanation:
        "virtio_gpu makes framebuffers with a function of its own, which answers EINVAL for an unknown handle "
        + "and does not compare the rows with the buffer's size: check sizes before ADDFB2"),
    // Read in vmwgfx_prime.c and vmwgfx_gem.c of 6.12, not seen.
    KnownDeviation(
      ids: ["F03", "G07", "G19"], whose: .drivers(["vmwgfx"]), fixedIn: nil, seen: ["ESRCH"],
      explanation:
        "vmwgfx looks handles up by itself before it exports them, and answers ESRCH for one that it does not know"),
    // Seen on 6.1 and not on 6.12; where between them it ended was not looked at.
    KnownDeviation(
      ids: ["J12", "J13"], whose: .everybody, fixedIn: (6, 12), seen: ["success"],
      explanation:
        "older kernels do not compare the modifier of ADDFB2 with those of the planes, so that a framebuffer can be made "
        + "that no plane shows: look at IN_FORMATS first"),
    KnownDeviation(
      ids: ["K21", "K28"], whose: .drivers(["virtio_gpu"]), fixedIn: (6, 12),
      explanation:
        "virtio_gpu of older kernels prepares its planes itself and does not wait for the fences of the buffer: wait "
        + "for them before the flip, or give it IN_FENCE_FD"),
    KnownDeviation(
      ids: ["M04"], whose: .drivers(["vkms"]), fixedIn: nil, onlyBouncedFrom: [.heap, .udmabuf],
      explanation:
        "vkms writes with the processor and outside of any bracket, so that the next START for reading puts the importer's "
        + "copy over what it wrote: have it write into buffers of its own"),
    KnownDeviation(
      ids: ["K18"], whose: .drivers(["qxl"]), fixedIn: nil, seen: ["success"],
      explanation: "qxl does not compare the rectangles of its primary plane, so it accepts a scaled one, which the "
        + "device cannot show: do not scale on qxl"),
  ]
}
