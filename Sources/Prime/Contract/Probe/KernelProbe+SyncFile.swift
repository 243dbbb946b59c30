package import Prime

/// What `SYNC_IOC_FILE_INFO` tells of a sync_file (`struct sync_file_info`).
package struct ProbeSyncFileInfo: Hashable, Sendable {
  /// One fence of it (`struct sync_fence_info`).
  package struct Fence: Hashable, Sendable {
    /// Whose timeline it is on; empty where the kernel said none.
    package var timeline: String
    /// The driver that made it; empty where the kernel said none.
    package var driver: String
    /// 1 signalled, 0 pending, below 0 an errno.
    package var status: Int32
  }

  /// Of all its fences: 1 signalled, 0 pending, below 0 an errno.
  package var status: Int32
  /// How many fences it has.
  package var fenceCount: UInt32
  /// As many of them as there was room for.
  package var fences: [Fence]
}

extension ProbeSyncFileInfo: ProbeValue {
  package static var neutral: ProbeSyncFileInfo { ProbeSyncFileInfo(status: 0, fenceCount: 0, fences: []) }
  package var distorted: ProbeSyncFileInfo {
    ProbeSyncFileInfo(
      status: status ^ 1, fenceCount: fenceCount ^ 1,
      fences: fences.map { Fence(timeline: "", driver: "", status: $0.status ^ 1) })
  }
  package var shown: String {
    let each = fences.map { "\($0.driver)/\($0.timeline) \($0.status)" }.joined(separator: ", ")
    return "status \(status), fences: \(fenceCount)\(each.isEmpty ? "" : " (\(each))")"
  }
}

extension KernelProbe {
  /// `SYNC_IOC_FILE_INFO` with room for so many fences.
  ///
  /// Without room the kernel is given no address either, so that it fails with `EFAULT` where it writes there all the same.
  package func syncFileInfo(
    _ syncFile: CInt, room: UInt32, flags: UInt32 = 0, pad: UInt32 = 0
  ) -> CallResult<ProbeSyncFileInfo> {
    let records = room == 0 ? nil : memory(byteCount: Int(room) * Self.fenceRecordSize)
    let name = [UInt32](repeating: 0, count: 8)
    return ioctl(
      syncFile, .syncFileInfo, name + [0, flags, room, pad] + .quad(records?.address ?? 0),
      "room for \(room), flags \(flags), pad \(pad)"
    ) { answer in
      let count = answer.words[10]
      let bytes = records?.bytes ?? []
      return ProbeSyncFileInfo(
        status: Int32(bitPattern: answer.words[8]), fenceCount: count,
        fences: (0..<Int(min(count, room))).map { index in
          Self.fence(Array(bytes[(index * Self.fenceRecordSize)..<((index + 1) * Self.fenceRecordSize)]))
        })
    }
  }

  /// Bytes of `struct sync_fence_info`.
  private static let fenceRecordSize = 80

  /// Two names of 32 bytes, then the status.
  private static func fence(_ record: [UInt8]) -> ProbeSyncFileInfo.Fence {
    func text(_ range: Range<Int>) -> String {
      String(decoding: record[range].prefix { $0 != 0 }, as: UTF8.self)
    }
    let status = (0..<4).reduce(UInt32(0)) { $0 | UInt32(record[64 + $1]) << UInt32($1 * 8) }
    return ProbeSyncFileInfo.Fence(timeline: text(0..<32), driver: text(32..<64), status: Int32(bitPattern: status))
  }
}
