/// Why a pair of devices does not share a buffer, told from the call, the errno and what else ran.
///
/// The errno of a failed import is a driver's choice and may mislead (`contract.md` calls it not promised), so the sentence
/// says what the errno usually comes from and names the evidence for the side it blames.
enum RefusalReason {
  /// What one side did with everybody but the other side of the refused pair.
  enum Elsewhere: Hashable, Sendable {
    /// It shared with this one.
    case shares(String)
    /// Others were tried and none worked.
    case refused
    /// The run had no other pair with it.
    case untried
  }

  /// The side that the evidence points at.
  static func refuser(exporter: Elsewhere, importer: Elsewhere) -> Refuser {
    switch (exporter, importer) {
    case (.shares, .shares), (.refused, .refused), (.untried, .untried): .either
    case (.shares, _), (.untried, .refused): .importer
    case (_, .shares), (.refused, .untried): .exporter
    }
  }

  /// One sentence for a refused import.
  ///
  /// - Parameter advertised: whether the importer has `DRM_CAP_PRIME` import; nil where that is not known.
  static func sentence(
    _ exporter: (name: String, elsewhere: Elsewhere), _ importer: (name: String, elsewhere: Elsewhere), errno: Errno,
    advertised: Bool? = nil
  ) -> String {
    switch refuser(exporter: exporter.elsewhere, importer: importer.elsewhere) {
    case .importer:
      var proof = ""
      if case .shares(let other) = exporter.elsewhere { proof = ", while \(other) takes buffers of \(exporter.name)" }
      let claim =
        switch advertised {
        case true?: "; that it advertises DRM_CAP_PRIME import says nothing"
        case false?: "; nor does it advertise DRM_CAP_PRIME import"
        case nil: ""
        }
      return "\(importer.name) takes no buffers of other devices\(proof): \(importerMeaning(errno))\(claim)"
    case .exporter:
      var proof = ""
      if case .shares(let other) = importer.elsewhere { proof = ", while \(importer.name) takes those of \(other)" }
      return "\(exporter.name) hands its buffers to no other device\(proof): \(exporterMeaning(errno)); "
        + "allocate on another device, or from udmabuf or the heap"
    case .either:
      switch exporter.elsewhere {
      case .shares:
        return "\(importer.name) cannot use this buffer of \(exporter.name), though both share with others: "
          + importerMeaning(errno)
      case .refused:
        return "\(exporter.name) shares with no other device here and \(importer.name) takes from none: "
          + importerMeaning(errno)
      case .untried:
        return "\(importerMeaning(errno)); `prime-tool verify` of the whole matrix shows which of the two refuses"
      }
    }
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
