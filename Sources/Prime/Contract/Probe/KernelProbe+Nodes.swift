internal import CProbe
internal import Glibc
package import Prime
internal import PrimeProcesses

/// Ioctls of `drm.h` and `drm_mode.h` that show what a node permits.
extension IoctlRequest {
  package static let gemFlink = drm(0x0a, "DRM_IOCTL_GEM_FLINK")
  package static let modeResources = drm(0xa0, "DRM_IOCTL_MODE_GETRESOURCES")
  package static let syncobjCreate = drm(0xbf, "DRM_IOCTL_SYNCOBJ_CREATE")
  package static let syncobjDestroy = drm(0xc0, "DRM_IOCTL_SYNCOBJ_DESTROY")
  package static let syncobjWait = drm(0xc3, "DRM_IOCTL_SYNCOBJ_WAIT")
  package static let syncobjSignal = drm(0xc5, "DRM_IOCTL_SYNCOBJ_SIGNAL")
}

extension KernelProbe {
  // MARK: - Mode setting

  /// `DRM_IOCTL_MODE_GETRESOURCES` for the counts alone: how many CRTCs there are.
  package func crtcCount(_ device: CInt) -> CallResult<UInt32> {
    ioctl(device, .modeResources, [UInt32](repeating: 0, count: 16)) { $0.words[9] }
  }

  // MARK: - Syncobjs

  /// `DRM_IOCTL_SYNCOBJ_CREATE` without a fence inside.
  package func createSyncobj(_ device: CInt) -> CallResult<UInt32> {
    ioctl(device, .syncobjCreate, [0, 0]) { $0.words[0] }
  }

  /// `DRM_IOCTL_SYNCOBJ_DESTROY`.
  package func destroySyncobj(_ device: CInt, _ syncobj: UInt32) -> CallResult<Int> {
    ioctl(device, .syncobjDestroy, [syncobj, 0], "syncobj \(syncobj)") { $0.returned }
  }

  /// `DRM_IOCTL_SYNCOBJ_WAIT` with `WAIT_FOR_SUBMIT`: it waits also while there is no fence; at most 20 seconds.
  package func waitForSyncobj(_ device: CInt, _ syncobj: UInt32, restarting: Bool) -> CallResult<Int> {
    var now = timespec()
    // Safe: clock_gettime fills the struct it is given.
    _ = unsafe clock_gettime(CLOCK_MONOTONIC, &now)
    let end = UInt64(now.tv_sec + 20) * 1_000_000_000
    let words: [UInt32] = .quad(memory([syncobj]).address) + .quad(end) + [1, 2, 0, 0]
    return ioctl(
      device, .syncobjWait, words, restarting: restarting, "syncobj \(syncobj)\(restarting ? "" : ", not restarted")"
    ) { $0.returned }
  }

  /// `DRM_IOCTL_SYNCOBJ_SIGNAL`.
  package func signalSyncobj(_ device: CInt, _ syncobj: UInt32) -> CallResult<Int> {
    ioctl(device, .syncobjSignal, .quad(memory([syncobj]).address) + [1, 0], "syncobj \(syncobj)") { $0.returned }
  }

  // MARK: - Descriptors

  /// Every open descriptor of this process, the one that reads the list among them.
  package func descriptors() -> CallResult<[CInt]> {
    call("readdir", "/proc/self/fd") { .success(unrecorded.entries(of: "/proc/self/fd").compactMap { CInt($0) }) }
  }

  /// Sends a descriptor through a socket (`SCM_RIGHTS`) and gives the one that arrives, close-on-exec.
  package func passThroughSocket(_ descriptor: CInt) -> CallResult<CInt> {
    socketPair().flatMap { ends in
      send(descriptor, through: ends.mine).flatMap { _ in receiveDescriptor(from: ends.theirs, milliseconds: 1000) }
    }
  }

  /// Runs `body` while this process may open no further descriptor (`RLIMIT_NOFILE`); nil where the limit stayed.
  package func withoutFreeDescriptor<Value>(_ body: () throws -> Value) rethrows -> Value? {
    // The kernel gives the lowest free number, and refuses those from the limit on.
    guard case .success(let free) = Self.system(SYS_dup, Int64(STDERR_FILENO)) else { return nil }
    _ = Self.system(SYS_close, free)
    let old = memory([UInt32](repeating: 0, count: 4))
    guard case .success = Self.system(SYS_prlimit64, 0, Self.descriptorLimit, 0, Int64(bitPattern: old.address)) else {
      return nil
    }
    let low = memory(.quad(UInt64(free)) + [old.word(at: 2), old.word(at: 3)])
    guard case .success = Self.system(SYS_prlimit64, 0, Self.descriptorLimit, Int64(bitPattern: low.address)) else {
      return nil
    }
    defer { _ = Self.system(SYS_prlimit64, 0, Self.descriptorLimit, Int64(bitPattern: old.address)) }
    return try body()
  }

  private static var descriptorLimit: Int64 { Int64(RLIMIT_NOFILE.rawValue) }

  // MARK: - Permissions

  /// The permission bits of a file (`stat(2)`), as in `0o660`.
  package func permissions(of path: String) -> CallResult<UInt32> {
    call("stat", path) {
      var status = stat()
      // Safe: fstatat fills the struct it is given.
      guard unsafe fstatat(AT_FDCWD, path, &status, 0) == 0 else { return .failure(Errno(rawValue: Glibc.errno)) }
      return .success(UInt32(status.st_mode) & 0o7777)
    }
  }

  /// Opens a device by its number, through a node of this process's own that is gone again at once.
  package func openDeviceNumber(_ number: DeviceNumber) -> CallResult<CInt> {
    adopting(
      call("open", "device \(number)") {
        let path = "/dev/prime-tool-\(getpid())"
        // Safe: the path is copied for each call.
        guard unsafe mknod(path, S_IFCHR | 0o600, cprobe_device_number(number.major, number.minor)) == 0 else {
          return .failure(Errno(rawValue: Glibc.errno))
        }
        defer { _ = unsafe unlink(path) }
        return unrecorded.open(path, flags: O_RDWR)
      })
  }

  // MARK: - Another process

  /// What another process sees of a dma-buf through a mapping of its own, in a bracket of its own.
  ///
  /// It is a fork: no other thread may run. What it cannot map it sees nothing of.
  package func bytesInAnotherProcess(of dmaBuf: CInt, byteCount: Int, at offset: Int, count: Int) -> [UInt8] {
    let seen: CallResult<[UInt8]> = call("read in another process", "\(count) bytes at \(offset)") {
      let kernel = unrecorded
      let child = ChildProcess.start { send in
        // Without a probe: Swift's Mutex remembers its thread's number, which a fork makes wrong, and ends the child.
        let mapped = Self.system(SYS_mmap, 0, Int64(byteCount), Int64(PROT_READ), Int64(MAP_SHARED), Int64(dmaBuf))
        func synced(_ flags: UInt64) -> Bool {
          let limit = Deadline(in: .seconds(5), on: kernel)
          let answer: Void? = try? limit.restarting("DMA_BUF_IOCTL_SYNC", on: "dma-buf \(dmaBuf)") {
            kernel.dmaBufSync(dmaBuf, flags: flags)
          }
          return answer != nil
        }
        guard case .success(let start) = mapped, synced(SyncFlags.read) else { return }
        send((0..<count).map { cprobe_peek(UInt64(start) + UInt64(offset + $0)) })
        _ = synced(SyncFlags.read | SyncFlags.end)
      }
      guard case .success(let child) = child else { return .success([]) }
      return .success(Self.words(of: child, by: kernel))
    }
    return (try? seen.get()) ?? []
  }

  /// All that a child told within ten seconds; then it is ended.
  private static func words(of child: ChildProcess, by kernel: any KernelCalls) -> [UInt8] {
    var bytes: [UInt8] = []
    let deadline = Deadline(in: .seconds(10), on: kernel)
    while deadline.remaining > .zero, !Readiness.wait(for: [child.output], within: deadline.remaining).isEmpty {
      let more = Readiness.read(child.output)
      if more.isEmpty { break }
      bytes += more
    }
    child.kill()
    _ = child.reap(within: .seconds(2))
    return bytes
  }
}
