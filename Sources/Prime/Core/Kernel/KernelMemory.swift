internal import Glibc

/// The machine's memory by physical address, as `/proc/kcore` shows it (`fs/proc/kcore.c`).
///
/// It needs root, and a kernel that is not locked down. It is read through the kernel's own mapping: what a device would read where
/// the two agree, as on x86.
package struct KernelMemory: ~Copyable {
  /// A stretch of memory, and where it lies in the file.
  package struct Segment: Hashable, Sendable {
    /// Its physical address.
    package var address: UInt64
    /// How many bytes it has.
    package var byteCount: UInt64
    /// Where it begins in the file.
    package var offset: UInt64
  }

  private let descriptor: CInt
  private let segments: [Segment]

  /// Opens it; nil where the kernel has no such file, or this user may not read it.
  package init?() {
    // Safe: the path is copied for the call.
    let opened = unsafe Glibc.open("/proc/kcore", O_RDONLY | O_CLOEXEC)
    guard opened >= 0 else { return nil }
    let header = Self.read(opened, at: 0, count: 1 << 14)
    guard let found = header.flatMap(Self.segments(in:)), !found.isEmpty else {
      _ = Glibc.close(opened)
      return nil
    }
    descriptor = opened
    segments = found
  }

  deinit { _ = Glibc.close(descriptor) }

  /// What lies at a physical address; nil where no segment holds all of it, or it cannot be read.
  package func bytes(at address: UInt64, count: Int) -> [UInt8]? {
    guard let segment = Self.segment(holding: address, UInt64(count), in: segments),
      let bytes = Self.read(descriptor, at: segment.offset + (address - segment.address), count: count)
    else { return nil }
    return bytes.count == count ? bytes : nil
  }

  static func segment(holding address: UInt64, _ count: UInt64, in segments: [Segment]) -> Segment? {
    segments.first { segment in
      guard address >= segment.address else { return false }
      let (end, overflows) = (address - segment.address).addingReportingOverflow(count)
      return !overflows && end <= segment.byteCount
    }
  }

  /// The stretches that have a physical address, from the head of the file: an ELF of 64 bits, this machine's byte order.
  ///
  /// Modules, `vmalloc` and what else has none say -1 (`get_kcore_size`, `kcore_vmalloc`).
  package static func segments(in header: [UInt8]) -> [Segment]? {
    func number(_ offset: Int, bytes count: Int) -> UInt64? {
      guard offset >= 0, offset + count <= header.count else { return nil }
      let bytes = header[offset..<offset + count]
      // `EI_DATA`: 1 for the least significant byte first.
      return (header[5] == 1 ? Array(bytes.reversed()) : Array(bytes)).reduce(0) { $0 << 8 | UInt64($1) }
    }
    guard header.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2]), let table = number(32, bytes: 8),
      let size = number(54, bytes: 2), let count = number(56, bytes: 2), size >= 56, table < 1 << 12
    else { return nil }
    var segments: [Segment] = []
    for index in 0..<Int(count) {
      let start = Int(table) + index * Int(size)
      guard let kind = number(start, bytes: 4), let offset = number(start + 8, bytes: 8),
        let address = number(start + 24, bytes: 8), let byteCount = number(start + 40, bytes: 8)
      else { return nil }
      guard kind == 1, address != .max else { continue }
      segments.append(Segment(address: address, byteCount: byteCount, offset: offset))
    }
    return segments
  }

  private static func read(_ descriptor: CInt, at offset: UInt64, count: Int) -> [UInt8]? {
    guard let start = Int(exactly: offset), count >= 0 else { return nil }
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      // Safe: it fills at most what is left of the array.
      let got = unsafe bytes.withUnsafeMutableBytes { buffer in
        unsafe Glibc.pread(descriptor, buffer.baseAddress.map { unsafe $0 + done }, count - done, start + done)
      }
      if got < 0 && Glibc.errno == EINTR { continue }
      guard got >= 0 else { return nil }
      guard got > 0 else { break }
      done += got
    }
    return Array(bytes.prefix(done))
  }
}
