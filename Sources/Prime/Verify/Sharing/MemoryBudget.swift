internal import Prime

/// Refuses a buffer that would not fit this machine's memory, before the kernel kills somebody to make room for it.
enum MemoryBudget {
  /// Throws `ENOMEM` where fewer than `byteCount` bytes are available by the kernel's own estimate (`MemAvailable`).
  static func check(
    _ byteCount: Int, operation: PrimeError.Operation, on subject: String, by kernel: any FileCalls
  ) throws(PrimeError) {
    guard let available = availableBytes(kernel), byteCount > available else { return }
    throw PrimeError(
      operation: operation, errno: .noMemory, subject: subject,
      reason: "the buffer needs \(byteCount >> 20) MiB and this machine has \(available >> 20) MiB available: "
        + "use a smaller --size")
  }

  private static func availableBytes(_ kernel: any FileCalls) -> Int? {
    kernel.text(of: "/proc/meminfo")?.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
      .flatMap { $0.split(separator: " ").dropFirst().first }.flatMap { Int($0) }.map { $0 * 1024 }
  }
}
