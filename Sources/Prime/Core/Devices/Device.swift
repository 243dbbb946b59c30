internal import Glibc
internal import Synchronization

/// An open DRM node, for one role: exporter and importer each open a device of their own, even of one node.
///
/// GEM handles are numbers of this open file and the kernel does not count their uses: importing one dma-buf twice gives
/// one number, and one `GEM_CLOSE` ends both (`drm.h`, `DRM_IOCTL_PRIME_FD_TO_HANDLE`). The device counts them instead.
/// It stays open until the last buffer, framebuffer or mapping made through it is gone.
public final class Device: Sendable {
  /// The node that was opened.
  public let node: DRMNode
  /// The DRM driver's name, for example `vgem` (`drmGetVersion`).
  public let driver: String
  /// `major.minor.patch` of the driver.
  public let driverVersion: String
  /// Which device it is, whatever the node is called.
  package let identity: DeviceIdentity
  private let descriptor: Descriptor
  private let handleUses = Mutex<[UInt32: Int]>([:])
  private let removesFramebuffers = Atomic<Bool>(false)
  /// Bit n: the kernel granted the client capability n.
  private let granted = Atomic<UInt64>(0)

  private init(
    node: DRMNode, version: DriverVersion, identity: DeviceIdentity, descriptor: consuming Descriptor
  ) {
    self.node = node
    self.identity = identity
    self.driver = version.name
    self.driverVersion = "\(version.major).\(version.minor).\(version.patch)"
    self.descriptor = descriptor
  }

  /// Opens a node read/write and asks its driver's name.
  ///
  /// The first opener of a primary node becomes DRM master without asking. That is given back at once, so that looking
  /// at buffers never takes a display from anybody; `becomeMaster` asks for it.
  ///
  /// - Throws: `open` with `EACCES` or `EPERM` and who forbids it, `ENOENT`, `ENODEV`; `drmGetVersion` for what is no DRM node.
  public static func open(_ node: DRMNode) throws(PrimeError) -> Device {
    try open(node, kernel: LinuxKernel())
  }

  package static func open(_ node: DRMNode, kernel: some KernelCalls) throws(PrimeError) -> Device {
    let rawValue: CInt
    switch kernel.open(node.path, flags: O_RDWR) {
    case .success(let opened): rawValue = opened
    case .failure(let errno):
      throw PrimeError(
        operation: "open", errno: errno, subject: node.path, reason: openingReason(errno, path: node.path, kernel))
    }
    let descriptor = Descriptor(adopting: rawValue, kernel: kernel)
    // Mesa would accept any file, /dev/null included, so the kernel is asked first what this is.
    let status = try kernel.status(rawValue).orThrow("fstat", on: node.path)
    guard let number = status.characterDevice, DRMNode.kind(of: number) != nil else {
      throw PrimeError(
        operation: "open", finding: .unsuitable, subject: node.path,
        reason: "this is not a DRM node: name one of /dev/dri/card* or /dev/dri/renderD*")
    }
    let answer = kernel.version(rawValue)
    let isGone = [.failure(.noSuchDevice), .failure(.noSuchAddress)].contains(answer)
    let version = try answer.orThrow(
      "drmGetVersion", on: node.path,
      reason: isGone ? "the node does not answer as a DRM device: it may be going away" : nil)
    let device = Device(
      node: node, version: version, identity: DeviceIdentity(number, kernel: kernel), descriptor: descriptor)
    if node.kind == .primary && kernel.isMaster(rawValue) {
      _ = kernel.dropMaster(rawValue)
    }
    return device
  }

  /// Another open file of the same node, with GEM handles and mastership of its own.
  ///
  /// - Throws: As `open`.
  public func reopened() throws(PrimeError) -> Device {
    // The existential is opened here so that `open` keeps its generic form for tests.
    try Self.open(node, kernel: kernel)
  }

  package var kernel: any KernelCalls { descriptor.kernel }

  package var rawDescriptor: CInt { descriptor.rawValue }

  /// How messages name it: `vgem (/dev/dri/card0)`.
  public var subject: String { "\(driver) (\(node.path))" }

  /// How many GEM handles made through this device are open; 0 when nothing leaked.
  public var openHandleCount: Int {
    handleUses.withLock { $0.count }
  }

  /// Asks the driver what it can do.
  ///
  /// - Throws: `drmGetCap`, `drmSetClientCap`, `drmModeGetResources` or `drmModeGetConnector` with an errno that is no answer.
  public func capabilities() throws(PrimeError) -> DeviceCapabilities {
    try DeviceCapabilities.asking(self)
  }

  static func openingReason(_ errno: Errno, path: String, _ kernel: any FileCalls) -> String? {
    switch errno {
    case .permissionDenied, .notPermitted:
      return NodePermission(of: path, by: kernel)?.reason(errno, path: path)
    case .noSuchFile: return "there is no such node; \(Remedy.listOfDevices)"
    case .noSuchDevice, .noSuchAddress: return "the device is gone"
    default: return PrimeError.commonReason(errno)
    }
  }
}

extension Device {
  /// Takes one more use of a handle that the kernel gave for this open file.
  func retainHandle(_ handle: UInt32) {
    handleUses.withLock { $0[handle, default: 0] += 1 }
  }

  /// Gives one use back and closes the handle with the last one (`DRM_IOCTL_GEM_CLOSE`).
  func releaseHandle(_ handle: UInt32) {
    handleUses.withLock { uses in
      guard let count = uses[handle] else { return }
      guard count == 1 else {
        uses[handle] = count - 1
        return
      }
      uses[handle] = nil
      // An error says that the device is gone, which closed the handle as well.
      _ = kernel.closeHandle(rawDescriptor, handle: handle)
    }
  }

  /// Imports and counts under one lock, so that a close on another thread cannot end the handle in between.
  func importingHandle(of dmaBuf: CInt) -> CallResult<UInt32> {
    handleUses.withLock { uses in
      let result = kernel.primeFDToHandle(rawDescriptor, dmaBuf: dmaBuf)
      if case .success(let handle) = result { uses[handle, default: 0] += 1 }
      return result
    }
  }

  /// Whether the kernel granted a client capability to this open file.
  func hasGranted(_ capability: UInt64) -> Bool {
    granted.load(ordering: .relaxed) & 1 << capability != 0
  }

  /// Remembers that it did.
  func noteGranted(_ capability: UInt64) {
    _ = granted.bitwiseOr(1 << capability, ordering: .relaxed)
  }

  /// Has each framebuffer of this open file taken off the screen when it goes, instead of shown on.
  func removeFramebuffers() {
    removesFramebuffers.store(true, ordering: .relaxed)
  }

  /// Whether a framebuffer that goes has to leave the screen.
  var mustRemoveFramebuffers: Bool { removesFramebuffers.load(ordering: .relaxed) }

  /// Gives mastership back, so that others may set modes again (`drmDropMaster`).
  public func dropMaster() {
    _ = kernel.dropMaster(rawDescriptor)
  }
}
