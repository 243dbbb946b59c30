import Glibc
import Prime
import Synchronization

/// The fences of the fake kernel, and what holds them: buffers, sync_files, vgem's open files, syncobjs.
struct FakeFences {
  struct Fence {
    var driver: String
    var timeline: String
    /// As the kernel counts: 0 pending, 1 signalled, a negative errno.
    var status: Int32 = 0
  }

  struct SyncFile {
    var name: String
    var fences: [Int]
  }

  /// A point of a timeline, or point 0 for the fence of a binary syncobj.
  struct Point {
    var value: UInt64
    var fences: [Int]
  }

  var all: [Fence] = []
  /// What readers and writers of a memory have put on it.
  var reservations: [Int: [(fence: Int, isWriter: Bool)]] = [:]
  var syncFiles: [SyncFile] = []
  /// By open file and number.
  var vgem: [CInt: [UInt32: Int]] = [:]
  var syncobjs: [[Point]] = []
  /// By open file and handle.
  var handles: [CInt: [UInt32: Int]] = [:]
  private var lastNumber: UInt32 = 0

  mutating func newNumber() -> UInt32 {
    lastNumber += 1
    return lastNumber
  }

  mutating func newFence(driver: String, timeline: String, status: Int32 = 0) -> Int {
    all.append(Fence(driver: driver, timeline: timeline, status: status))
    return all.count - 1
  }

  /// A fence that has signalled from the start, as the kernel's `stub`.
  mutating func newStub() -> Int { newFence(driver: "stub", timeline: "stub", status: 1) }

  func isPending(_ fences: [Int]) -> Bool { fences.contains { all[$0].status == 0 } }

  /// The fences that a reader or a writer of a memory has to wait for.
  func inTheWay(ofMemory memory: Int, writing: Bool) -> [Int] {
    reservations[memory, default: []].filter { writing || $0.isWriter }.map(\.fence).filter { all[$0].status == 0 }
  }

  func events(ofMemory memory: Int) -> Int16 {
    let reads = inTheWay(ofMemory: memory, writing: false).isEmpty
    let writes = inTheWay(ofMemory: memory, writing: true).isEmpty
    return Int16((reads ? POLLIN : 0) | (writes ? POLLOUT : 0))
  }

  /// A sync_file is never writable.
  func events(ofSyncFile file: Int) -> Int16 {
    isPending(syncFiles[file].fences) ? 0 : Int16(POLLIN)
  }

  /// The kernel ends the fences of an open file that goes; that they were left to it is worth a note.
  mutating func close(_ descriptor: CInt) -> [String] {
    let numbers = vgem.removeValue(forKey: descriptor) ?? [:]
    for fence in numbers.values where all[fence].status == 0 { all[fence].status = 1 }
    let syncobjs = handles.removeValue(forKey: descriptor) ?? [:]
    return (numbers.isEmpty ? [] : ["a node was closed with \(numbers.count) fence(s) of vgem"])
      + (syncobjs.isEmpty ? [] : ["a node was closed with \(syncobjs.count) syncobj(s)"])
  }

  func leftovers() -> [String] {
    vgem.values.flatMap(\.keys).sorted().map { "vgem's fence \($0) was not signalled" }
      + handles.values.flatMap(\.keys).sorted().map { "syncobj \($0) is still there" }
      + all.filter { $0.status == 0 }.map { "a fence of \($0.driver)/\($0.timeline) is still pending" }
  }
}

extension FakeKernel {
  /// Ends every pending fence as vgem does after ten seconds: without an error.
  func expireFences() { endFences(withStatus: 1) }

  /// Ends every pending fence as a driver does whose work failed.
  func failFences(with errno: Errno) { endFences(withStatus: -errno.rawValue) }

  private func endFences(withStatus status: Int32) {
    state.withLock { state in
      for index in state.fences.all.indices where state.fences.all[index].status == 0 {
        state.fences.all[index].status = status
      }
    }
  }
}
