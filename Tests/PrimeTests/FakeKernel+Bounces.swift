import Prime
import Synchronization

/// Whose copies SYNC keeps equal to the buffer, where every mapping of an import is a copy of it.
enum BounceRule: Sendable {
  /// As the system heap: those of all importers, also when the last one goes.
  case everyAttachment
  /// As udmabuf: its own, which no importer looks through.
  case ownMapping
  /// As GEM: nobody's.
  case nobody
}

extension FakeKernel.State {
  /// An importer maps a buffer.
  mutating func bounce(_ memory: Int) {
    guard faults.bounces != nil, memories[memory].bounced == nil else { return }
    memories[memory].bounced = memories[memory].bytes()
  }

  /// The last importer has let go of a buffer.
  mutating func unbounce(_ memory: Int) {
    guard let rule = faults.bounces, let copy = memories[memory].bounced else { return }
    let holders = files.values.filter { $0.device != memories[memory].exporter && $0.handles.values.contains(memory) }
    guard holders.isEmpty else { return }
    // The heap unmaps with a copy back. GEM has DMA_ATTR_SKIP_CPU_SYNC, and of udmabuf none was seen (6.12).
    if rule == .everyAttachment { memories[memory].store(copy) }
    memories[memory].bounced = nil
  }

  /// What START and END copy: from the device for a reader, to the device for a writer (`swiotlb_sync_single_for_cpu`).
  mutating func syncBounces(_ memory: Int, flags: UInt64) {
    guard let rule = faults.bounces, !faults.syncCopiesNothing else { return }
    // A device's own buffers are GEM's, which has no hooks.
    if rule == .ownMapping && memories[memory].exporter == nil && memories[memory].ownBounce == nil {
      memories[memory].ownBounce = memories[memory].bytes()
    }
    let copy: [UInt8]? =
      switch rule {
      case .everyAttachment: memories[memory].bounced
      case .ownMapping: memories[memory].ownBounce
      case .nobody: nil
      }
    guard let copy else { return }
    if flags & 5 == 1 { memories[memory].store(copy) }
    guard flags & 6 == 6 else { return }
    if rule == .everyAttachment {
      memories[memory].bounced = memories[memory].bytes()
    } else {
      memories[memory].ownBounce = memories[memory].bytes()
    }
  }
}
