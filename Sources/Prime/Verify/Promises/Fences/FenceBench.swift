internal import Prime

/// One shared buffer with the importer's view of it, and fences to put on it.
final class FenceBench {
  let pair: RulePair
  let kernel: any KernelCalls
  let deadline: Deadline
  let allocator: any Allocator
  let importer: Device
  /// The exporter's descriptor.
  let picture: SharedPicture
  /// What the importer's handle gives when it is exported again.
  let view: DMABuf
  let handle: GEMHandle
  private let source: FenceSource
  /// The dma-bufs that were made, for the audit.
  private(set) var inodes: Set<UInt64>

  /// Where fences come from.
  private enum FenceSource: ~Copyable {
    /// vgem puts them on the buffer, through a handle of the buffer itself.
    case attached(GEMHandle)
    /// vgem puts them on a buffer of its own, and a sync_file carries them over.
    case carried(GEMHandle, DMABuf)
    /// Nothing here has fences on demand.
    case none(RuleSkip)
  }

  init(
    _ pair: RulePair, vgem: DRMNode?, size: (width: Int, height: Int), kernel: any KernelCalls, deadline: Deadline
  ) throws {
    self.pair = pair
    self.kernel = kernel
    self.deadline = deadline
    guard let node = pair.importer.node else {
      throw RuleSkip("\(pair.importer.name) has no node")
    }
    let exporter = try pair.exporter.node.map { (node) throws(PrimeError) in try Device.open(node, kernel: kernel) }
    allocator = try Allocators.make(pair.exporter, on: exporter, kernel: kernel)
    picture = try allocator.allocate(AllocationRequest(format: .xrgb8888, width: size.width, height: size.height))
      .export(.readWrite)
    importer = try Device.open(node, kernel: kernel)
    handle = try GEMHandle(importing: picture.first, into: importer)
    view = try handle.export(.readWrite)
    inodes = [picture.first.identity.inode]
    source = Self.source(for: picture.first, exporter: exporter, vgem: vgem, kernel: kernel, &inodes)
  }

  private static func source(
    for buffer: borrowing DMABuf, exporter: Device?, vgem: DRMNode?, kernel: any KernelCalls,
    _ inodes: inout Set<UInt64>
  ) -> FenceSource {
    do throws(PrimeError) {
      if let exporter, exporter.driver == "vgem" {
        return .attached(try GEMHandle(importing: buffer, into: exporter))
      }
      guard let vgem else {
        return .none(
          RuleSkip("nothing here has fences on demand: load vgem (`modprobe vgem`); sw_sync and syncobjs are not used"))
      }
      let device = try Device.open(vgem, kernel: kernel)
      do throws(PrimeError) {
        _ = try buffer.exportSyncFile(for: .write)
      } catch {
        guard error.errno == .notATerminal else { throw error }
        // Before Linux 6.0 no sync_file carries a fence over, and only a buffer that vgem takes can have one.
        return .attached(try GEMHandle(importing: buffer, into: device))
      }
      let own = try DumbAllocator(device: device).allocate(AllocationRequest(format: .xrgb8888, width: 64, height: 16))
        .export(.readWrite).takeFirst()
      inodes.insert(own.identity.inode)
      return .carried(try GEMHandle(importing: own, into: device), own)
    } catch {
      return .none(RuleSkip("no fence can be put on this buffer: \(error)", error))
    }
  }

  /// Puts a fence on the buffer, or on another that the importer holds too, as a reader's or a writer's; nil where the cause
  /// is left out.
  ///
  /// The caller signals it. vgem ends it after ten seconds.
  func fence(_ access: FenceAccess, withCause: Bool) throws -> VGEMFence? {
    switch source {
    case .none(let skip): throw skip
    case _ where !withCause: return nil
    case .attached(let handle): return try VGEMFence(attachingTo: handle, as: access)
    case .carried(let handle, let own):
      let fence = try VGEMFence(attachingTo: handle, as: .write)
      try picture.first.importSyncFile(try own.exportSyncFile(for: .read), as: access)
      return fence
    }
  }

  /// A fence that is on no buffer of the pair, and the sync_file that holds it.
  struct LooseFence: ~Copyable {
    var fence: VGEMFence?
    var file: SyncFile?
  }

  /// Makes a fence on another buffer, for what takes a sync_file.
  func looseFence() throws -> LooseFence {
    switch source {
    case .none(let skip): throw skip
    case .attached(let handle):
      let other = try DumbAllocator(device: handle.device).allocate(
        AllocationRequest(format: .xrgb8888, width: 64, height: 16)
      ).export(.readWrite).takeFirst()
      inodes.insert(other.identity.inode)
      let fence = try VGEMFence(attachingTo: GEMHandle(importing: other, into: handle.device), as: .write)
      return LooseFence(fence: fence, file: try other.exportSyncFile(for: .read))
    case .carried(let handle, let own):
      let fence = try VGEMFence(attachingTo: handle, as: .write)
      return LooseFence(fence: fence, file: try own.exportSyncFile(for: .read))
    }
  }

  /// Allocates another buffer as the first was.
  func allocate(_ size: (width: Int, height: Int)) throws(PrimeError) -> SharedPicture {
    let other = try allocator.allocate(AllocationRequest(format: .xrgb8888, width: size.width, height: size.height))
      .export(.readWrite)
    inodes.insert(other.first.identity.inode)
    return other
  }

  /// Signals a fence that was put on; nothing where it was left out.
  static func signal(_ fence: inout VGEMFence?) throws(PrimeError) {
    try fence.take()?.signal()
  }
}
