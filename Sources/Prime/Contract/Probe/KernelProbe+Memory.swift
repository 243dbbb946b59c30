internal import CProbe
internal import Glibc
package import Prime
internal import Synchronization

/// A mapping that a statement made, known by its address: what it holds is looked at byte by byte.
package struct ProbeMapping: Hashable, ProbeValue {
  /// Where it begins.
  package let address: UInt64
  /// How many bytes were mapped.
  package let byteCount: Int

  package static var neutral: ProbeMapping { ProbeMapping(address: 0, byteCount: 0) }
  package var distorted: ProbeMapping { self }
  package var shown: String { "mapped" }
}

extension KernelProbe {
  /// `mmap(2)` with any protection (`PROT_*`) and any flags (`MAP_*`).
  package func map(
    _ descriptor: CInt, byteCount: Int, offset: UInt64 = 0, protection: Int32 = PROT_READ | PROT_WRITE,
    flags: Int32 = MAP_SHARED
  ) -> CallResult<ProbeMapping> {
    let writes = protection & PROT_WRITE != 0
    let kind = flags & MAP_SHARED != 0 ? "MAP_SHARED" : "MAP_PRIVATE"
    return call("mmap", "\(descriptor), \(byteCount) bytes at \(offset), \(writes ? "rw" : "r"), \(kind)") {
      Self.system(
        SYS_mmap, 0, Int64(byteCount), Int64(protection), Int64(flags), Int64(descriptor), Int64(bitPattern: offset)
      ).map { address in
        let start = UInt64(bitPattern: address)
        state.withLock { $0.mappings[start] = byteCount }
        return ProbeMapping(address: start, byteCount: byteCount)
      }
    }
  }

  /// `munmap(2)` of a whole mapping, or of `byteCount` bytes from its beginning.
  package func unmap(_ mapping: ProbeMapping, byteCount: Int? = nil) -> CallResult<Int> {
    let length = byteCount ?? mapping.byteCount
    state.withLock { state in
      state.mappings[mapping.address] = nil
      if length < mapping.byteCount {
        state.mappings[mapping.address + UInt64(length)] = mapping.byteCount - length
      }
    }
    return simple("munmap", "\(length) bytes", SYS_munmap, Int64(bitPattern: mapping.address), Int64(length))
  }

  /// `mprotect(2)` of a whole mapping.
  package func protect(_ mapping: ProbeMapping, protection: Int32) -> CallResult<Int> {
    simple(
      "mprotect", "\(mapping.byteCount) bytes, 0x\(hexadecimal(UInt64(protection), digits: 1))", SYS_mprotect,
      Int64(bitPattern: mapping.address), Int64(mapping.byteCount), Int64(protection))
  }

  /// `mremap(2)` to another length, wherever the kernel wants.
  package func remap(_ mapping: ProbeMapping, byteCount: Int) -> CallResult<ProbeMapping> {
    call("mremap", "\(mapping.byteCount) to \(byteCount) bytes") {
      Self.system(
        SYS_mremap, Int64(bitPattern: mapping.address), Int64(mapping.byteCount), Int64(byteCount),
        Int64(CPROBE_REMAP_MAY_MOVE)
      ).map { address in
        let start = UInt64(bitPattern: address)
        state.withLock { state in
          state.mappings[mapping.address] = nil
          state.mappings[start] = byteCount
        }
        return ProbeMapping(address: start, byteCount: byteCount)
      }
    }
  }

  /// One byte of a mapping.
  ///
  /// What the kernel cannot back raises SIGBUS, which ends the statement as its failure.
  package func byte(of mapping: ProbeMapping, at offset: Int) -> UInt8 {
    bytes(of: mapping, at: offset, count: 1).first ?? 0
  }

  /// Bytes of a mapping; none outside of it.
  package func bytes(of mapping: ProbeMapping, at offset: Int, count: Int) -> [UInt8] {
    let seen: CallResult<[UInt8]> = call("read memory", "\(count) bytes at \(offset)") {
      guard offset >= 0, count >= 0, offset + count <= mapping.byteCount else { return .success([]) }
      return .success((0..<count).map { cprobe_peek(mapping.address + UInt64(offset + $0)) })
    }
    return (try? seen.get()) ?? []
  }

  /// Writes bytes into a mapping; none outside of it.
  package func write(_ bytes: [UInt8], to mapping: ProbeMapping, at offset: Int) {
    guard offset >= 0, offset + bytes.count <= mapping.byteCount else { return }
    for (index, byte) in bytes.enumerated() { cprobe_poke(mapping.address + UInt64(offset + index), byte) }
  }
}
