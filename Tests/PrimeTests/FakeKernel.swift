import Glibc
import Prime
import Synchronization
import Testing

/// A kernel for tests: real memfds stand in for buffers, and any call can be told to fail.
///
/// Bytes, mappings, sizes and descriptors are the real kernel's; handles, dma-bufs and displays follow the DRM core's
/// rules. What a caller may not do (closing twice, a handle of another open file, END without START) is noted as a
/// violation. `expectNothingLeft` ends every test.
final class FakeKernel: KernelCalls {
  /// A device to be found under the paths of its nodes.
  struct DeviceSetup: Sendable {
    var driver = "fake"
    var primary: String? = "/dev/dri/card0"
    var render: String?
    /// What `drmPrimeFDToHandle` of another device's buffer answers; nil imports it.
    var refusesImports: Errno?
    var dumbPitchAlignment: UInt32 = 64
    var makesDumbBuffers = true
    /// Whether a Mesa driver answers for it.
    var hasGBM = true
    /// Whether that driver allocates dumb buffers, as Mesa's software driver does.
    var gbmIsSoftware = false
    /// Which file the handles of its buffer objects belong to.
    var gbmHandles = GBMHandles.own
    /// How its driver arranges the pixels of what is not asked to be linear.
    var tiledModifier: UInt64?
    /// Formats of its planes and its writeback connector; nil for a device without a display engine.
    var displayFormats: [Fourcc]?
    var hasWriteback = true
    var takesFramebufferModifiers = true
    var hasOverlay = true
    /// Whether every primary plane fits every CRTC, and the first of them shows something on another CRTC.
    var hasForeignPlane = false
    /// The sources of its CRTC's checksums; nil for a driver without any.
    ///
    /// Its wire has modes then.
    var checksumSources: [String]?
    /// Whether its primary plane has to be as large as the mode.
    var planeCoversMode = false
    /// What the pitch of its framebuffers must be a multiple of.
    var pitchMultiple: UInt32 = 1
    /// Whether a console showed a picture before anybody came.
    var showsPicture = true
    var hasSyncobjs = true
    var hasTimelineSyncobjs = true
  }

  /// Whose the number is that `gbm_bo_get_handle` gives.
  enum GBMHandles: Sendable {
    /// The file's that GBM was given.
    case own
    /// Another file's, whose numbers this one does not have.
    case ofAnotherFile
    /// Another file's, and this one has a buffer of that number as well.
    case alsoOfAnotherBuffer
    /// The file's that GBM was given, which imported the buffer of another device.
    case ofAnImport
  }

  let state: Mutex<State>

  init(_ devices: [DeviceSetup], otherNodes: [String] = []) {
    state = Mutex(State(devices, otherNodes: otherNodes))
  }

  /// What a descriptor of this kernel refers to.
  enum FileKind: Hashable, Sendable {
    case node(device: Int, isRender: Bool)
    /// `/dev/udmabuf`, a heap, or anything else that can be opened.
    case plain(path: String)
    case memory(Int)
    case dmaBuf(Int, writable: Bool)
    case fence
    /// A sync_file with fences of the books.
    case syncFile(Int)
    case syncobj(Int)
    /// `crc/control` and `crc/data` of a device's CRTC.
    case checksumControl(device: Int)
    case checksumData(device: Int)
    /// A socket, by its number in the books.
    case socket(Int)
    /// By the number of the program.
    case iteratorProgram(Int), iteratorLink(program: Int)
    /// How often the file of an iterator was read, and that it is that of the program with this number.
    case iterator(program: Int, reads: Int)
  }

  struct State {
    var devices: [FakeDevice]
    let otherNodes: [String]
    var descriptors: [CInt: FileKind] = [:]
    var files: [CInt: FakeOpenFile] = [:]
    /// Whether a text file was read to its end.
    var reads: [CInt: Bool] = [:]
    var memories: [FakeMemory] = []
    var mappings: [UInt: Int] = [:]
    var gbm = FakeGBM()
    var fences = FakeFences()
    /// What the display engines have still to show.
    var flips: [FakeFlip] = []
    var sockets = FakeSockets()
    var video = FakeVideo()
    var iterator = FakeIterator()
    /// How often `poll` was called to wait, however soon it returned.
    var waitingPolls = 0
    var tree = FakeFiles()
    var clock = FakeClock()
    var counts: [KernelCall: Int] = [:]
    var failures: [KernelCall: [ClosedRange<Int>: Errno]] = [:]
    var faults = Faults()
    var syncLog: [SyncEntry] = []
    var openBrackets: [Int: Int] = [:]
    var violations: [String] = []
    var nextFile = 1
    var openedPaths: [String] = []

    init(_ setups: [DeviceSetup], otherNodes: [String]) {
      self.otherNodes = otherNodes
      devices = []
      for setup in setups {
        devices.append(FakeDevice(setup))
        if setup.displayFormats != nil { startDisplay(ofDevice: devices.count - 1) }
      }
    }
  }

  deinit {
    state.withLock { state in
      for memory in state.memories { _ = Glibc.close(memory.descriptor) }
      for descriptor in state.descriptors.keys { _ = Glibc.close(descriptor) }
    }
  }

  /// Counts a call, fails it where it was told to, and does it.
  func call<Value: Sendable>(_ call: KernelCall, _ body: (inout State) throws -> Value) -> CallResult<Value> {
    state.withLock { state in
      do {
        try state.enter(call)
        return .success(try body(&state))
      } catch let errno as Errno {
        return .failure(errno)
      } catch {
        fatalError("the fake kernel threw \(error)")
      }
    }
  }
}

// MARK: - Files

extension FakeKernel {
  func open(_ path: String, flags: Int32) -> CallResult<CInt> {
    call(.open) { state in
      state.openedPaths.append(path)
      let kind = try state.kind(ofPath: path)
      let descriptor = Glibc.open("/dev/null", O_RDWR | O_CLOEXEC)
      guard descriptor >= 0 else { throw Errno(rawValue: errno) }
      state.descriptors[descriptor] = kind
      if case .checksumControl = kind { state.reads[descriptor] = false }
      if case .node(let device, let isRender) = kind { state.openFile(descriptor, device: device, isRender: isRender) }
      return descriptor
    }
  }

  func close(_ descriptor: CInt) {
    state.withLock { state in
      guard let kind = state.descriptors.removeValue(forKey: descriptor) else {
        // Not closed for real: the number may belong to another test by now.
        return state.violations.append("close of descriptor \(descriptor), which is not open")
      }
      if case .node = kind { state.closeFile(descriptor) }
      _ = Glibc.close(descriptor)
    }
  }

  func duplicate(_ descriptor: CInt) -> CallResult<CInt> {
    call(.duplicate) { state in
      guard let kind = state.descriptors[descriptor] else { throw state.wrongDescriptor(descriptor, "fcntl") }
      return try state.adopt(fcntl(descriptor, F_DUPFD_CLOEXEC, 0), as: kind)
    }
  }

  func closeOnExec(_ descriptor: CInt) -> CallResult<Void> {
    call(.closeOnExec) { state in
      guard state.descriptors[descriptor] != nil else { throw state.wrongDescriptor(descriptor, "fcntl") }
      guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else { throw Errno(rawValue: errno) }
    }
  }

  func statusFlags(_ descriptor: CInt) -> CallResult<Int32> {
    call(.statusFlags) { state in
      switch state.descriptors[descriptor] {
      case nil: throw state.wrongDescriptor(descriptor, "fcntl")
      case .dmaBuf(_, let writable): return writable ? O_RDWR : O_RDONLY
      default: return O_RDWR
      }
    }
  }

  func status(_ descriptor: CInt) -> CallResult<FileStatus> {
    call(.status) { state in
      guard let kind = state.descriptors[descriptor] else { throw state.wrongDescriptor(descriptor, "fstat") }
      var status = stat()
      guard fstat(descriptor, &status) == 0 else { throw Errno(rawValue: errno) }
      var number: DeviceNumber?
      if case .node(let device, let isRender) = kind {
        number = DeviceNumber(major: 226, minor: UInt32(isRender ? 128 + device : device))
      } else if case .plain = kind {
        number = DeviceNumber(major: 1, minor: 3)
      }
      return FileStatus(
        device: UInt64(status.st_dev), inode: UInt64(status.st_ino), byteCount: Int64(status.st_size),
        characterDevice: number)
    }
  }

  func fileSystemMagic(_ descriptor: CInt) -> CallResult<UInt64> {
    call(.fileSystemMagic) { state in
      switch state.descriptors[descriptor] {
      case nil: throw state.wrongDescriptor(descriptor, "fstatfs")
      // DMA_BUF_MAGIC, ANON_INODE_FS_MAGIC, and TMPFS_MAGIC for the rest.
      case .dmaBuf: return 0x444d_4142
      case .fence, .syncFile, .syncobj: return 0x0904_1934
      default: return 0x0102_1994
      }
    }
  }

  func seekToEnd(_ descriptor: CInt) -> CallResult<Int64> {
    call(.seekToEnd) { state in
      guard state.descriptors[descriptor] != nil else { throw state.wrongDescriptor(descriptor, "lseek") }
      let end = lseek(descriptor, 0, SEEK_END)
      guard end >= 0 else { throw Errno(rawValue: errno) }
      return Int64(end)
    }
  }
}

extension FakeKernel.State {
  fileprivate func kind(ofPath path: String) throws(Errno) -> FakeKernel.FileKind {
    if let refusal = faults.closedPaths.first(where: { path.hasSuffix($0.key) }) { throw refusal.value }
    for (index, device) in devices.enumerated() {
      // By suffix, so that a folder of fixtures may stand before it.
      if let primary = device.setup.primary, path.hasSuffix(primary) { return .node(device: index, isRender: false) }
      if let render = device.setup.render, path.hasSuffix(render) { return .node(device: index, isRender: true) }
    }
    if let kind = checksumFile(path) { return kind }
    guard otherNodes.contains(path) else { throw .noSuchFile }
    return .plain(path: path)
  }

  /// Takes a real descriptor into this kernel's books.
  mutating func adopt(_ descriptor: CInt, as kind: FakeKernel.FileKind) throws(Errno) -> CInt {
    guard descriptor >= 0 else { throw Errno(rawValue: errno) }
    descriptors[descriptor] = kind
    return descriptor
  }

  mutating func wrongDescriptor(_ descriptor: CInt, _ operation: String) -> Errno {
    violations.append("\(operation) on descriptor \(descriptor), which is of the wrong kind or not open")
    return .badDescriptor
  }
}
