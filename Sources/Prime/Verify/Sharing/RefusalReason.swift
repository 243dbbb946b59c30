internal import Prime

/// Why a device does not take a buffer, from the call's errno and from what third parties do with both sides.
///
/// The errno of a failed import is a driver's choice and may mislead (no rule of the core fixes it), so the sentence says what
/// the errno usually comes from and names the evidence for the side it blames.
enum RefusalReason {
  /// One sentence for a refused import.
  ///
  /// - Parameters:
  ///   - byteCount: The size of the buffer that was refused.
  ///   - advertised: Whether the importer has `DRM_CAP_PRIME` import; nil where that is not known.
  static func sentence(
    exporter: String, importer: String, _ evidence: RefusalEvidence, errno: Errno, byteCount: Int,
    advertised: Bool? = nil
  ) -> String {
    switch (evidence.taking, evidence.giving) {
    case (.refuses(let others, let other), let giving):
      let refusesAll =
        "\(importer) takes no buffers of other devices, and refuses a page of \(list(others)) too"
        + (other == errno ? "" : " (\(other.name))")
      switch giving {
      case .refused(let neutral, _):
        return "neither side works with others here: \(refusesAll), and \(neutral) refuses this buffer of \(exporter)"
      case .taken(let neutral):
        return "\(refusesAll), while \(neutral) takes this buffer of \(exporter): \(importerMeaning(errno))"
          + claim(advertised)
      case .unknown: return "\(refusesAll): \(importerMeaning(errno))\(claim(advertised))"
      }
    case (.takesOnlyAPage(let source, let other), let giving):
      let small = "\(importer) takes a page of \(source) and refuses \(byteCount) bytes of it (\(other.name))"
      if case .refused(let neutral, _) = giving {
        return "\(small), and \(neutral) refuses this buffer of \(exporter): not known which side it is"
      }
      return other == .noMemory || other == .noSpace
        ? "\(small): its address space or its memory for mappings is too small for that"
        : "\(small): it needs contiguous memory; \(byteCount) bytes of its own or of a heap of contiguous memory "
          + "(heap:linux,cma) would do"
    case (.takes(let source), .refused(let neutral, _)):
      return "\(exporter) hands its buffers to no other device: \(neutral) refuses this one too, while \(importer) "
        + "takes as much of \(source): \(exporterMeaning(errno)); allocate on another device, or from udmabuf or the heap"
    case (.takes(let source), .taken(let neutral)):
      return "\(importer) cannot use this buffer of \(exporter), though it takes as much of \(source) and \(neutral) "
        + "takes this buffer: \(importerMeaning(errno))"
    case (.takes(let source), .unknown):
      return "not known which side refuses: \(importer) takes as much of \(source), and nothing here tells whether "
        + "\(exporter) hands its buffers to others: \(importerMeaning(errno))"
    case (.unknown, .taken(let neutral)):
      return "not known which side refuses: \(neutral) takes this buffer of \(exporter), and nothing here tells "
        + "whether \(importer) takes those of others: \(importerMeaning(errno))"
    case (.unknown, .refused(let neutral, _)):
      return "not known which side refuses: \(neutral) refuses this buffer of \(exporter) too, and nothing here tells "
        + "whether \(importer) takes those of others: \(exporterMeaning(errno))"
    case (.unknown, .unknown):
      return "not known which side refuses, and nothing here tells: modprobe vgem or udmabuf to find out: "
        + importerMeaning(errno)
    }
  }

  private static func claim(_ advertised: Bool?) -> String {
    switch advertised {
    case true?: "; that it advertises DRM_CAP_PRIME import says nothing"
    case false?: "; nor does it advertise DRM_CAP_PRIME import"
    case nil: ""
    }
  }

  /// What the errno usually comes from, where no third party was asked.
  static func guess(_ errno: Errno) -> String {
    "\(importerMeaning(errno)); \(Remedy.wholeMatrix)"
  }

  private static func list(_ names: [String]) -> String {
    guard names.count > 1, let last = names.last else { return names.joined() }
    return names.dropLast().joined(separator: ", ") + " and " + last
  }

  private static func importerMeaning(_ errno: Errno) -> String {
    switch errno {
    case .invalidArgument: "its driver has no gem_prime_import_sg_table, or needs memory in one contiguous piece"
    case .noSuchDevice: "its driver imports only what it exported itself"
    case .notImplemented: "its driver or the exporter's does not implement it"
    case .noMemory: "out of address space or memory for the mapping; some drivers mean that it is not supported"
    case .busy: "the buffer cannot be moved to where this device reaches it"
    case .notSupported: "its driver does not support it"
    default: errno.meaning
    }
  }

  private static func exporterMeaning(_ errno: Errno) -> String {
    switch errno {
    case .notImplemented: "its buffers lie in its own video memory and have no pages to hand out: no get_sg_table"
    case .busy, .invalidArgument: "its buffers cannot be moved to where the other device reaches them"
    default: errno.meaning
    }
  }
}
