import Prime
import Synchronization
import Testing

/// What the fake kernel does wrong while every call answers success.
struct Faults: Sendable {
  /// No descriptor ever becomes ready.
  var neverReady = false
  /// That many imports give the importer a copy, as the buffer was at that moment.
  var copiedImports = 0
  /// The importer sees a buffer without the writes of the last bracket, from that many write brackets on.
  var writesArriveLateFrom: Int?
  /// The importer sees zeros in this page of every buffer.
  var zeroPage: Int?
  /// The display engine and `gbm_bo_map` step this many bytes more from row to row.
  var pitchOffBy = 0
  /// What a display engine writes back in place of what it composed.
  var writeback = WritebackLie.none
  /// A writeback's fence signals only while the checksums run (vkms 6.12).
  var losesWritebacks = false
  /// What the checksum of a CRTC is computed of in place of the picture.
  var checksum = ChecksumLie.none
  /// The display engine fetches of an imported buffer only the rows that its checksum covers.
  var fetchesAsChecksum = false
  /// The sources of checksums that cannot be started, lie as `checksum` says, or do not settle.
  var badSources: Set<String> = ["auto", "other"]
  /// Every buffer that a device allocated is exported as the dma-buf of its first one.
  var exportsGiveFirst = false
  /// Every import into an open file gives the handle of its first one.
  var importsGiveFirst = false
  /// `gbm_bo_map` gives the buffer's own memory in place of a copy.
  var gbmMapsMemory = false
  /// The libraries that the process has loaded.
  var libraries = ["/usr/lib/dri/taker_dri.so"]
  /// The kernel grants a mapping of the device's own node also for buffers of other devices.
  var mapsImports = false
  /// The display engine reads the bytes of every element in the opposite order.
  var swapsBytes = false
  /// What a mapping of the device's own node shows in place of the buffer, as it was when it was mapped.
  var nativeView: (@Sendable ([UInt8]) -> [UInt8])?
  /// The display engine exchanges the places of the first two planes.
  var swapsPlaneOffsets = false
  /// The display engine begins this many rows below the first.
  var shiftsRowsBy = 0
  /// The display engine takes this property of a plane for 0.
  var ignoresPlace: String?
  /// Something scribbles over a buffer at the end of this bracket (1 is the first SYNC END with WRITE).
  var scribblesAfterWrite: Int?
  /// A commit is accepted and gives no fence.
  var withholdsFence = false
  /// Somebody else is DRM master and stays it.
  var otherMaster = false
  /// Paths that cannot be opened, by how they end.
  var closedPaths: [String: Errno] = [:]
  /// The minors of nodes whose names are not the kernel's, by the ends of their paths.
  var nodeMinors: [String: UInt32] = [:]
  /// What a sync_file claims to hold, whatever it holds.
  var claimedFences: Int?
  /// A fence that is put on a buffer is over at once.
  var fencesEndAtOnce = false
  /// What SYNC START does while fences are in the way: the library never lets it come to that, but checks do.
  var bracketsAtFences = AtFences.isViolation
  /// `poll` on a dma-buf does not look at fences.
  var pollIgnoresFences = false
  /// `poll` on a dma-buf keeps readers back from readers.
  var readersHoldReaders = false
  /// Fences that come later enter the sync_files that were exported before.
  var syncFilesGrow = false
  /// What a closed open file allocated is overwritten, whoever holds it.
  var wipesClosedExporters = false
  /// Every import gives a new number.
  var importsGiveNewHandles = false
  /// Closing an open file with handles is how its handles are meant to go.
  var filesTakeHandles = false
  /// libgbm exports for reading alone, as with Mesa's software driver; where the buffer was exported before, as that was.
  var gbmExportsForReading = false
  /// It does so when it allocates, before anybody else can, as where a display is told of the buffer.
  var gbmExportsWhenAllocating = false
  /// Every import is a copy, and SYNC copies as said; nil where devices reach all memory.
  var bounces: BounceRule?
  /// SYNC copies nothing, whatever the rule is, as where somebody swallows it.
  var syncCopiesNothing = false
  /// The driver allocates half of what is asked for.
  var halvesDumbBuffers = false
}

/// A display engine that says it has written a picture.
enum WritebackLie: Hashable, Sendable {
  case none
  case nothing
  /// Rows from the first to the half.
  case upperHalf
  case withoutLastRow
  case withoutOddRows
  case firstRowOnly
  case withoutLastPixel
  /// What it composed first, whatever was shown since.
  case firstPicture
  /// What it composed for the picture before.
  case oneFrameLate
}

/// What SYNC START does while fences are in the way.
enum AtFences: Sendable {
  case isViolation
  case waits
  case passes
}

/// One `DMA_BUF_IOCTL_SYNC` that was made.
struct SyncEntry: Hashable, Sendable, CustomStringConvertible {
  var memory: Int
  var flags: UInt64
  var errno: Errno?

  /// `START read`, `END write: EIO`.
  var description: String {
    let access = [1: "read", 2: "write", 3: "read and write"][flags & 3] ?? "nothing"
    return "\(flags & 4 == 0 ? "START" : "END") \(access)" + (errno.map { ": \($0.name)" } ?? "")
  }
}

extension FakeKernel {
  /// Makes calls of one kind fail: the nth of them, counted from 1, or a range of them.
  func fail(_ call: KernelCall, with errno: Errno, onCall number: Int) {
    fail(call, with: errno, onCalls: number...number)
  }

  func fail(_ call: KernelCall, with errno: Errno, onCalls numbers: ClosedRange<Int> = 1...Int.max) {
    state.withLock { $0.failures[call, default: [:]][numbers] = errno }
  }

  /// Switches misbehaviour on.
  func misbehave(_ change: (inout Faults) -> Void) {
    state.withLock { change(&$0.faults) }
  }

  /// Takes a device away: every call on it gives `ENODEV` from the nth call of this kind on.
  func unplug(_ path: String, atCall number: Int = 1, of call: KernelCall) {
    state.withLock { state in
      for index in state.devices.indices where state.devices[index].has(path) {
        state.devices[index].goesAt = (call, number + state.counts[call, default: 0])
      }
    }
  }

  /// How often a call was made, failed ones counted too.
  func count(of call: KernelCall) -> Int {
    state.withLock { $0.counts[call, default: 0] }
  }

  /// Every call that was made, with how often.
  var counts: [KernelCall: Int] { state.withLock { $0.counts } }

  /// Every path that was to be opened, in order.
  var openedPaths: [String] { state.withLock { $0.openedPaths } }

  /// Every SYNC that was made, in order.
  var syncLog: [String] { state.withLock { $0.syncLog.map(\.description) } }

  /// What is still open or was done wrong.
  var leftovers: [String] { state.withLock { $0.leftovers() } }

  /// States that everything was closed, exactly once.
  func expectNothingLeft(_ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(leftovers == [], comment, sourceLocation: sourceLocation)
  }
}

extension FakeKernel.State {
  mutating func enter(_ call: KernelCall) throws(Errno) {
    counts[call, default: 0] += 1
    let number = counts[call, default: 0]
    for index in devices.indices {
      if let (goingCall, goingNumber) = devices[index].goesAt, goingCall == call, goingNumber <= number {
        devices[index].isGone = true
      }
    }
    if let failure = failures[call]?.first(where: { $0.key.contains(number) }) { throw failure.value }
  }

  func leftovers() -> [String] {
    var left = violations
    for (descriptor, kind) in descriptors.sorted(by: { $0.key < $1.key }) {
      left.append("descriptor \(descriptor) is still open: \(kind)")
    }
    for file in files.values {
      for handle in file.handles.keys.sorted() { left.append("handle \(handle) is still open") }
    }
    for device in devices {
      for id in device.framebuffers.keys.sorted() where id != FakeDevice.consoleFramebuffer {
        left.append("framebuffer \(id) is still there")
      }
      for id in device.userBlobs.sorted() { left.append("blob \(id) is still there") }
      if device.master != nil { left.append("somebody is still master of \(device.setup.driver)") }
    }
    for size in mappings.values.sorted() { left.append("a mapping of \(size) bytes is still there") }
    for (memory, count) in openBrackets.sorted(by: { $0.key < $1.key }) where count != 0 {
      left.append("\(count) SYNC bracket(s) of memory \(memory) are still open")
    }
    return left + gbm.leftovers() + fences.leftovers()
  }
}
