/// Where two ends of a hand-over meet: a socket in the file system, in the abstract name space, or one that is open.
public enum HandoverAddress: Hashable, Sendable {
  /// A socket file.
  case path(String)
  /// A name that is no file and ends with its socket (`unix(7)`); any user of the network name space may try it.
  case abstract(String)
  /// A connected socket that the process was started with.
  case descriptor(Int32)

  /// Reads `PATH`, `abstract:NAME` or `fd:N`; nil where it is empty, longer than `sun_path`, or no number above 2.
  public init?(parsing text: String) {
    if text.hasPrefix("abstract:") {
      let name = String(text.dropFirst("abstract:".count))
      guard !name.isEmpty, name.utf8.count <= Self.longestName else { return nil }
      self = .abstract(name)
    } else if text.hasPrefix("fd:") {
      guard let number = Int32(text.dropFirst("fd:".count)), number > 2 else { return nil }
      self = .descriptor(number)
    } else {
      guard !text.isEmpty, text.utf8.count <= Self.longestName, !text.utf8.contains(0) else { return nil }
      self = .path(text)
    }
  }

  /// `sun_path` has 108 bytes, of which one is a zero: before an abstract name, behind a path.
  private static let longestName = 107

  /// What `sun_path` holds; nil for an open descriptor.
  var socketName: [UInt8]? {
    switch self {
    case .path(let path): Array(path.utf8)
    case .abstract(let name): [0] + Array(name.utf8)
    case .descriptor: nil
    }
  }
}

extension HandoverAddress: CustomStringConvertible {
  /// As it is given on the command line.
  public var description: String {
    switch self {
    case .path(let path): path
    case .abstract(let name): "abstract:\(name)"
    case .descriptor(let number): "fd:\(number)"
    }
  }
}

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
