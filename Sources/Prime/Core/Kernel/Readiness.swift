internal import CDrm
internal import Glibc

/// The descriptors that have something to read, of those given.
package enum Readiness {
  /// Waits until one of them is readable or at its end, or the time has passed.
  package static func wait(for descriptors: [CInt], within limit: Duration) -> Set<CInt> {
    var requests = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    let milliseconds = CInt(max(0, min(limit / .milliseconds(1), 60_000)).rounded(.up))
    // Safe: poll reads and writes the array it is given.
    guard unsafe Glibc.poll(&requests, nfds_t(requests.count), milliseconds) > 0 else { return [] }
    return Set(requests.filter { $0.revents != 0 }.map(\.fd))
  }

  /// Whether something may be written without waiting, or fails at once; waits for that as long as `limit`.
  package static func canWrite(_ descriptor: CInt, within limit: Duration) -> Bool {
    var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    // Safe: poll reads and writes the one request it is given.
    return unsafe Glibc.poll(&request, 1, CInt(max(0, limit / .milliseconds(1)))) > 0
  }

  /// What is there to read, up to 64 KiB; empty at the end.
  ///
  /// An error is no end. One that stays is taken for it, since nothing can be heard any more.
  package static func read(_ descriptor: CInt) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 65536)
    for _ in 0..<8 {
      // Safe: read fills at most the array it is given.
      let count = unsafe Glibc.read(descriptor, &bytes, bytes.count)
      if count >= 0 { return Array(bytes.prefix(count)) }
    }
    return []
  }
}
