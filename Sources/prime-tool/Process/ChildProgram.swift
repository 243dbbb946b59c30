import ArgumentParser
import Glibc
import Prime
import PrimeProcesses

/// A program of the user's that is run to its end.
struct ChildProgram {
  /// Its number.
  let process: pid_t

  /// How long it may take to end after it was asked to.
  private static let patience = Duration.seconds(2)

  /// Starts it with signals as a shell hands them on; of this process's descriptors it gets the standard ones and the one named.
  init(_ command: [String], inheriting descriptor: CInt? = nil, variables: [String: String] = [:]) throws {
    var environment = ProgramProcess.environment()
    for (name, value) in variables { environment[name] = value }
    var actions = unsafe posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    var defaults = sigset_t()
    var process: pid_t = 0
    // Safe: each object is initialised before its use and destroyed once, and what it points to outlives the call.
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    // Onto itself, which takes close-on-exec away in the child alone (POSIX, glibc 2.29).
    if let descriptor { unsafe posix_spawn_file_actions_adddup2(&actions, descriptor, descriptor) }
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    unsafe sigemptyset(&defaults)
    for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGXFSZ] { unsafe sigaddset(&defaults, number) }
    unsafe posix_spawnattr_setsigdefault(&attributes, &defaults)
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
    let arguments = CStringList(command)
    let values = CStringList(environment.map { "\($0.key)=\($0.value)" })
    let result = unsafe posix_spawnp(&process, command[0], &actions, &attributes, arguments.list, values.list)
    guard result == 0 else {
      throw ExitStatus.usage("\(command[0]) could not be started: \(Errno(rawValue: result).meaning)")
    }
    self.process = process
  }

  /// Waits for its end and gives its exit code, or 128 and the number of the signal that ended it.
  ///
  /// A signal to this process is passed on; when the time is up it is ended. `meanwhile` is called again and again.
  func wait(_ interruption: Interruption, _ deadline: Deadline, meanwhile: () -> Void = {}) throws -> Int32 {
    var status: CInt = 0
    var killAt: Deadline?
    var timedOut = false
    while true {
      // Safe: waitpid fills the number it is given.
      let ended = unsafe waitpid(process, &status, WNOHANG)
      if ended == process { break }
      guard ended == 0 || errno == EINTR else {
        StandardError.note(
          "prime-tool: how the program ended cannot be told: waitpid \(Errno(rawValue: errno))")
        return ExitStatus.failed.rawValue
      }
      if let killAt {
        if killAt.remaining == .zero { kill(process, SIGKILL) }
      } else if let code = interruption.exitCode {
        kill(process, code - 128)
        killAt = Deadline(in: Self.patience)
      } else if deadline.remaining == .zero {
        timedOut = true
        kill(process, SIGTERM)
        killAt = Deadline(in: Self.patience)
      }
      meanwhile()
      usleep(5000)
    }
    if timedOut {
      StandardError.note("prime-tool: the program did not end in time and was ended: raise --timeout")
      return ExitStatus.failed.rawValue
    }
    let signal = status & 0x7f
    return signal == 0 ? status >> 8 & 0xff : 128 + signal
  }
}

/// What a program is told of the dma-buf that it inherits.
enum ExportedProgram {
  /// What describes the dma-buf to the program; the names are documented in `docs/handover.md`.
  static func variables(
    dmaBuf: CInt, _ description: BufferDescription, byteCount: Int, seed: UInt64
  ) -> [String: String] {
    let modifier = String(description.modifier.rawValue, radix: 16)
    let characters = (0..<4).map { UInt8(truncatingIfNeeded: description.fourcc.rawValue >> (8 * $0)) }
    var variables = [
      "PRIME_FD": "\(dmaBuf)", "PRIME_FOURCC": String(decoding: characters, as: UTF8.self),
      "PRIME_WIDTH": "\(description.width)", "PRIME_HEIGHT": "\(description.height)",
      "PRIME_MODIFIER": "0x" + String(repeating: "0", count: 16 - modifier.count) + modifier,
      "PRIME_SIZE": "\(byteCount)", "PRIME_SEED": "\(seed)", "PRIME_PLANES": "\(description.layout.planes.count)",
    ]
    for (index, plane) in description.layout.planes.enumerated() {
      let suffix = index == 0 ? "" : "_\(index)"
      variables["PRIME_PITCH\(suffix)"] = "\(plane.pitch)"
      variables["PRIME_OFFSET\(suffix)"] = "\(plane.offset)"
    }
    return variables
  }
}
