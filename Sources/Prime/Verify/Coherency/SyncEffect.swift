internal import Prime
internal import PrimeProcesses

/// What `DMA_BUF_IOCTL_SYNC` did for those who import from an exporter, and how that is known.
public struct SyncEffect: Hashable, Sendable, Codable {
  /// Whose mappings START and END made coherent.
  public enum Reach: String, Hashable, Sendable, Codable {
    /// Nobody's: the exporter has no hooks for it.
    case none
    /// One of the exporter's own, which no importer looks through (`udmabuf.c`, `begin_cpu_udmabuf`).
    case ownMapping = "own-mapping"
    /// Those of every importer (`system_heap.c`, `system_heap_dma_buf_begin_cpu_access`).
    case everyAttachment = "every-attachment"
    /// Not known.
    case unknown
  }

  /// How `reach` is known.
  public enum Evidence: String, Hashable, Sendable, Codable {
    /// A write without SYNC was lost at the next START, so START had something to copy.
    case measured
    /// The kernel traced what START and END made coherent.
    case traced
    /// A guess: the exporter is known by its name or driver, and what its source does.
    case byDriver = "by-driver"
  }

  /// Whether START waited for a fence that was put on the buffer; nil where none could be put on it.
  public var waitsForFences: Bool?
  /// Whose mappings were made coherent.
  public var reach: Reach
  /// How that is known; nil where it is not.
  public var evidence: Evidence?

  /// States what is known.
  public init(waitsForFences: Bool?, reach: Reach, evidence: Evidence?) {
    self.waitsForFences = waitsForFences
    self.reach = reach
    self.evidence = evidence
  }
}

extension SyncEffect {
  /// What was seen of START and END of one buffer, before an import and while it lasted.
  struct Observation: Hashable, Sendable {
    /// Whether a write without SYNC was lost at the next START; nil where that was not tried.
    var lost: Bool?
    /// What START and END had the kernel do; nil where it does not tell.
    var traced: DMAMapTrace.Seen?
  }

  /// Judges what was seen.
  ///
  /// - Parameters:
  ///   - alone: Before anybody had imported the buffer.
  ///   - shared: While the importer held it.
  ///   - isExporter: Whether the exporter's own device is among the kernel's names for devices; others that the calling
  ///     thread had to do with meanwhile, such as a disk, say nothing.
  ///   - isImporter: The same of the importer.
  ///   - isBounced: Whether the importer's mapping is a copy; nil where that is not known.
  ///   - guess: What the exporter's name says.
  init(
    waitsForFences: Bool?, alone: Observation, shared: Observation, isExporter: (Set<String>) -> Bool,
    isImporter: (Set<String>) -> Bool, isBounced: Bool?, guess: Reach?
  ) {
    self.init(waitsForFences: waitsForFences, reach: .unknown, evidence: nil)
    let synced = shared.traced?.synced ?? []
    let touched = [alone.traced, shared.traced].compactMap(\.self).reduce(into: Set<String>()) {
      $0.formUnion($1.synced)
      $0.formUnion($1.mapped)
    }
    if shared.lost == true && alone.lost == false {
      (reach, evidence) = (.everyAttachment, .measured)
    } else if isImporter(synced) {
      (reach, evidence) = (.everyAttachment, .traced)
    } else if alone.lost == true {
      (reach, evidence) = (.ownMapping, .measured)
    } else if isExporter(touched) {
      (reach, evidence) = (.ownMapping, .traced)
    } else if isBounced == true && shared.traced != nil {
      // A mapping that is a copy is one that the kernel does not skip, so nobody asked for it.
      (reach, evidence) = (.none, .traced)
    } else if let guess {
      (reach, evidence) = (guess, .byDriver)
    }
  }

  /// Judges what was seen of a buffer that `importer` holds; `exporter` is nil for system memory.
  init(
    of buffer: borrowing DMABuf, from exporter: Device?, to importer: Device, waitsForFences: Bool?,
    alone: Observation, shared: Observation, isBounced: Bool?
  ) {
    let name = buffer.exporterName
    self.init(
      waitsForFences: waitsForFences, alone: alone, shared: shared,
      isExporter: { names in exporter?.identity.isNamed(in: names) ?? name.map(names.contains) ?? false },
      isImporter: importer.identity.isNamed, isBounced: isBounced,
      guess: Self.guess(exporterName: name, driver: exporter?.driver))
  }

  /// What an exporter's source does, by its name in fdinfo and its driver; nil where that is not known.
  ///
  /// `drm_prime.c`'s and `virtgpu_prime.c`'s operations have no `begin_cpu_access`, and these drivers use them as they are.
  static func guess(exporterName: String?, driver: String?) -> Reach? {
    switch (exporterName, driver) {
    case ("virtio_gpu", _): Reach.none
    case ("drm", let driver?) where withoutHooks.contains(driver): Reach.none
    case ("udmabuf", _): .ownMapping
    case ("system", _): .everyAttachment
    default: nil
    }
  }

  private static let withoutHooks: Set<String> = [
    "vgem", "vkms", "cirrus", "cirrus-qemu", "bochs-drm", "virtio_gpu", "qxl",
  ]
}
