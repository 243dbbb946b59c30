internal import Glibc

/// A socket that waits for importers; its file goes with it.
public struct HandoverListener: ~Copyable {
  private let descriptor: Descriptor
  private let address: HandoverAddress
  private let users: HandoverUsers
  private let file: (path: String, identity: FileIdentity)?

  /// Makes the socket, and its file with a mode that lets only these users in.
  ///
  /// A socket file that nobody listens on any more is replaced; anything else that is there stays.
  package init(at address: HandoverAddress, for users: HandoverUsers, kernel: any KernelCalls) throws(PrimeError) {
    guard let name = address.socketName else {
      throw PrimeError(
        operation: "bind", finding: .unsuitable, subject: "\(address)",
        reason: "a descriptor is no place to listen at: name a path or an abstract name")
    }
    let descriptor = Descriptor(
      adopting: try kernel.socket(forProbing: false).orThrow("socket", on: "\(address)"), kernel: kernel)
    var bound = kernel.socketBind(descriptor.rawValue, to: name, mode: users.fileMode)
    if case .failure(.addressInUse) = bound {
      guard case .path(let path) = address else {
        throw PrimeError(
          operation: "bind", errno: .addressInUse, subject: "\(address)",
          reason: "somebody has that name: take another, or end the other export")
      }
      try Self.removeStale(path, name, kernel)
      bound = kernel.socketBind(descriptor.rawValue, to: name, mode: users.fileMode)
    }
    try bound.orThrow("bind", on: "\(address)", reason: Self.reason(bound))
    var file: (path: String, identity: FileIdentity)?
    if case .path(let path) = address, let identity = kernel.identity(of: path) { file = (path, identity) }
    let listening = kernel.socketListen(descriptor.rawValue)
    if case .failure = listening, let file { kernel.remove(file.path) }
    try listening.orThrow("listen", on: "\(address)")
    self.descriptor = descriptor
    self.address = address
    self.users = users
    self.file = file
  }

  deinit {
    // Somebody else's file may have its name by now.
    let kernel = descriptor.kernel
    if let file, kernel.identity(of: file.path) == file.identity { kernel.remove(file.path) }
  }

  /// Removes a socket file of a process that is gone.
  private static func removeStale(_ path: String, _ name: [UInt8], _ kernel: any KernelCalls) throws(PrimeError) {
    func inUse(_ reason: String) -> PrimeError {
      PrimeError(operation: "bind", errno: .addressInUse, subject: path, reason: reason)
    }
    guard let identity = kernel.identity(of: path), identity.isSocket else {
      throw inUse("something is there that is no socket: remove it, or take another path")
    }
    let probe = Descriptor(
      adopting: try kernel.socket(forProbing: true).orThrow("socket", on: path), kernel: kernel)
    // Of another type than a listener's, this connect tells whether there is one and never reaches it.
    switch kernel.socketConnect(probe.rawValue, to: name) {
    case .failure(.connectionRefused):
      guard kernel.identity(of: path) == identity, kernel.remove(path) else {
        throw inUse("the socket there has no listener, and may not be removed: take another path")
      }
    case .failure(.permissionDenied): throw inUse("the socket there belongs to somebody else: take another path")
    default: throw inUse("somebody listens there: end the other export, or take another path")
    }
  }

  private static func reason(_ bound: CallResult<Void>) -> String? {
    switch bound {
    case .failure(.noSuchFile): "its folder does not exist"
    case .failure(.permissionDenied): "this user may make no file in that folder: take a path in another"
    default: nil
    }
  }

  /// Waits for an importer; one that may not take part is turned away and told to `refused`, and the wait goes on.
  package borrowing func accept(
    deadline: Deadline, refused: (PrimeError) -> Void
  ) throws(PrimeError) -> HandoverConnection {
    let kernel = descriptor.kernel
    while true {
      try kernel.awaitEvents(
        Int16(POLLIN), of: descriptor.rawValue, "an importer", deadline: deadline, on: "\(address)")
      switch kernel.socketAccept(descriptor.rawValue) {
      case .success(let number):
        do throws(PrimeError) {
          return try HandoverConnection(
            adopting: Descriptor(adopting: number, kernel: kernel), from: users, at: address)
        } catch {
          refused(error)
        }
      // It went away again before it was its turn.
      case .failure(.interrupted), .failure(.tryAgain), .failure(.connectionReset):
        try deadline.check("accept", on: "\(address)")
      case .failure(let errno):
        throw PrimeError(
          operation: "accept", errno: errno, subject: "\(address)", reason: PrimeError.commonReason(errno))
      }
    }
  }
}

extension HandoverConnection {
  /// Connects to an exporter.
  ///
  /// With `waits`, one that is not there yet is waited for; `waiting` is told once: when that takes a second, at once where a
  /// socket is there on which nobody listens.
  package static func connect(
    to address: HandoverAddress, for users: HandoverUsers, waits: Bool, deadline: Deadline, kernel: any KernelCalls,
    waiting: () -> Void
  ) throws(PrimeError) -> HandoverConnection {
    guard let name = address.socketName else {
      guard case .descriptor(let number) = address else { fatalError("an address is a name or a descriptor") }
      return try HandoverConnection(openDescriptor: number, from: users, kernel: kernel)
    }
    let descriptor = Descriptor(
      adopting: try kernel.socket(forProbing: false).orThrow("socket", on: "\(address)"), kernel: kernel)
    let patience = Deadline(in: .seconds(1), on: kernel)
    var told = false
    connecting: while true {
      let answer = kernel.socketConnect(descriptor.rawValue, to: name)
      let refusal: Errno? = if case .failure(let errno) = answer { errno } else { nil }
      switch answer {
      case .success: break connecting
      case .failure(.connectionRefused) where isNoSocket(address, kernel):
        throw PrimeError(
          operation: "connect", errno: .connectionRefused, subject: "\(address)",
          reason: "something is there that is no socket: \(Remedy.exporterPath)")
      case .failure(.noSuchFile) where waits, .failure(.connectionRefused) where waits, .failure(.tryAgain),
        .failure(.interrupted):
        if !told && (patience.remaining == .zero || refusal == .connectionRefused) {
          told = true
          waiting()
        }
        do throws(PrimeError) {
          try deadline.check("connect", on: "\(address)")
        } catch {
          guard error.finding == .deadline, let why = refusal.flatMap({ reason($0, kernel) }) else { throw error }
          throw error.explained("\(why): \(Remedy.startedExporter(at: "\(address)"))")
        }
        deadline.pause(milliseconds: 5)
      case .failure(let errno):
        throw PrimeError(operation: "connect", errno: errno, subject: "\(address)", reason: reason(errno, kernel))
      }
    }
    return try HandoverConnection(adopting: descriptor, from: users, at: address)
  }

  /// Whether a path leads to a file that is no socket: nobody will ever listen there.
  private static func isNoSocket(_ address: HandoverAddress, _ kernel: any FileCalls) -> Bool {
    guard case .path(let path) = address, let identity = kernel.identity(of: path) else { return false }
    return !identity.isSocket
  }

  private static func reason(_ errno: Errno, _ kernel: any FileCalls) -> String? {
    switch errno {
    case .noSuchFile, .connectionRefused: "nobody exports there"
    case .permissionDenied: "it is not for this user: \(Remedy.allowedCaller(kernel.effectiveUser))"
    case .wrongProtocolType: "another program's socket is there"
    default: nil
    }
  }
}
