internal import Prime

/// Something that keeps a shared buffer alive, and that can go on its own.
enum LifetimeOwner: String, Hashable, Sendable, CaseIterable {
  case exporterHandle = "exporter handle"
  case exporterDevice = "exporter device"
  /// A GBM buffer and its device: the handle is Mesa's own.
  case exporterBuffer = "exporter's GBM buffer and device"
  case descriptor = "dma-buf descriptor"
  case mapping = "mapping"
  case importerHandle = "importer handle"
  case importerDevice = "importer device"

  /// The device whose close ends this handle too.
  var device: LifetimeOwner? {
    switch self {
    case .exporterHandle: .exporterDevice
    case .importerHandle: .importerDevice
    default: nil
    }
  }
}

/// Every order in which the owners of a buffer can go.
enum LifetimeOrders {
  /// The owners that a buffer of this kind has.
  static func owners(of allocator: AllocatorKind) -> [LifetimeOwner] {
    let shared: [LifetimeOwner] = [.descriptor, .mapping, .importerHandle, .importerDevice]
    return switch allocator {
    case .dumb: [.exporterHandle, .exporterDevice] + shared
    case .gbm: [.exporterBuffer] + shared
    case .udmabuf, .heap, .v4l2, .gpu: shared
    }
  }

  /// All orders: a handle goes before its device, or goes with it and is not in the list.
  static func all(of owners: [LifetimeOwner]) -> [[LifetimeOwner]] {
    var sets = [owners]
    for handle in owners where handle.device != nil {
      sets += sets.map { $0.filter { $0 != handle } }
    }
    return sets.flatMap(permutations).filter { order in
      order.enumerated().allSatisfy { index, owner in
        guard let device = owner.device, let place = order.firstIndex(of: device) else { return true }
        return index < place
      }
    }
  }

  private static func permutations(_ owners: [LifetimeOwner]) -> [[LifetimeOwner]] {
    guard !owners.isEmpty else { return [[]] }
    return owners.flatMap { first in permutations(owners.filter { $0 != first }).map { [first] + $0 } }
  }
}
