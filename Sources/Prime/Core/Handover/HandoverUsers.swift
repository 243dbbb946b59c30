/// The users that may be at the other end of a hand-over.
public struct HandoverUsers: Hashable, Sendable {
  /// The user of this process.
  public let own: UInt32
  /// All of them, this process's own included.
  public let allowed: Set<UInt32>

  /// This process's own user, and others that were named.
  public init(also others: [UInt32] = []) {
    self.init(own: LinuxKernel().effectiveUser, also: others)
  }

  package init(own: UInt32, also others: [UInt32]) {
    self.own = own
    allowed = Set(others + [own])
  }

  /// The mode of a socket file that lets them in: connecting needs write permission, and a file has one owner.
  ///
  /// Where others are allowed, everybody may connect, and is turned away by the kernel's word on who it is.
  var fileMode: UInt32 { allowed == [own] ? 0o600 : 0o666 }
}

extension HandoverUsers: CustomStringConvertible {
  /// `user 0`, `users 0, 1000`.
  public var description: String {
    "user\(allowed.count == 1 ? "" : "s") " + allowed.sorted().map(String.init).joined(separator: ", ")
  }
}
