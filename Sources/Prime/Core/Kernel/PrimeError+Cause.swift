extension PrimeError {
  /// What a failure rests on.
  public enum Cause: Hashable, Sendable {
    /// The call was answered with it. It is the kernel's, or libdrm's in its name, and never made up.
    case errno(Errno)
    /// This library found it, and asked no kernel or got no errno.
    case finding(Finding)
  }

  /// What this library finds without an errno, by the word that reports have for it.
  public enum Finding: String, Hashable, Sendable, Codable, CaseIterable {
    /// A device, a file or a property that is needed is not there.
    case absent
    /// What came contradicts itself, or what the kernel promises; or a comparison that had to fail did not.
    case broken
    /// The caller asked to stop.
    case cancelled
    /// The deadline of the work passed.
    case deadline
    /// The kernel ended an access to mapped memory with `SIGBUS` or `SIGSEGV`.
    case fault
    /// The other end of a socket went away.
    case gone
    /// The other end of a socket does not keep to the format of the messages.
    case protocolViolation = "protocol"
    /// A number does not fit where it has to go, or memory for it is not there.
    case tooLarge = "too-large"
    /// What was given cannot be used for this.
    case unsuitable
    /// This library, the device or its driver has nothing of the kind.
    case unsupported
  }

  /// Whether it speaks of the process that asks alone, and not of what was asked for (`EMFILE`, `ENOMEM`).
  package var isOfThisProcess: Bool { errno.map(Errno.ofThisProcess.contains) ?? false }
}
