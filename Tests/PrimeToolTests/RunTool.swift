import Foundation
import Glibc
import Testing

/// What a command printed and how it ended.
struct Ran {
  let standardOutput: String
  let standardError: String
  /// The exit code, or 128 and the number of the signal that ended it.
  let code: Int32
  /// The most memory it had in use (`VmHWM`), in bytes.
  let peakMemory: Int
  /// The most that all dma-bufs of the kernel held while it ran, in bytes.
  let peakBuffers: Int
  let duration: Duration

  /// The report that `verify --json` printed, as a dictionary.
  func json() throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(standardOutput.utf8)) as? [String: Any])
  }
}

/// A command that runs with its output in files, so that it never waits for a reader.
final class RunningTool {
  let pid: pid_t
  private let files: [String]
  private let started = ContinuousClock.now
  private let terminal: CInt?
  private var terminalText: [UInt8] = []
  private var peakMemory = 0
  private var peakBuffers = 0
  private let watchesBuffers: Bool

  /// Starts `prime-tool` with these arguments.
  convenience init(_ arguments: [String], watchesBuffers: Bool = false) throws {
    try self.init(command: [Tool.path] + arguments, watchesBuffers: watchesBuffers)
  }

  /// Starts a command; with `onTerminal` its output goes to a terminal, and is what `standardOutput` will be.
  init(
    command: [String], environment: [String: String] = [:], onTerminal: Bool = false, watchesBuffers: Bool = false
  ) throws {
    self.watchesBuffers = watchesBuffers
    var paths = ["stdout", "stderr"].map {
      "\(NSTemporaryDirectory())/prime-tool-test-\(getpid())-\(UInt32.random(in: 0 ... .max)).\($0)"
    }
    files = paths
    terminal = onTerminal ? try Self.newTerminal() : nil
    if let terminal {
      let name = try #require(ptsname(terminal))
      paths = [String](repeating: String(cString: name), count: 2)
    }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, paths[0], O_WRONLY | O_CREAT | O_NOCTTY, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, paths[1], O_WRONLY | O_CREAT | O_NOCTTY, 0o600)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // A session of its own, so that everything it started can be ended; signals as a shell hands them on.
    var defaults = sigset_t()
    sigemptyset(&defaults)
    for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE] { sigaddset(&defaults, number) }
    posix_spawnattr_setsigdefault(&attributes, &defaults)
    // The threads that tests run on block signals, which a command would inherit.
    var blocked = sigset_t()
    sigemptyset(&blocked)
    posix_spawnattr_setsigmask(&attributes, &blocked)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID))
    var values = ProcessInfo.processInfo.environment.filter { $0.key != "NO_COLOR" && $0.key != "TERM" }
    values["TERM"] = "xterm"
    for (name, value) in environment { values[name] = value }
    values["PATH"] = "\(Tool.folder):/usr/sbin:/usr/bin:/sbin:/bin"
    var pid: pid_t = 0
    let result = Self.withCStrings(command) { arguments in
      Self.withCStrings(values.map { "\($0.key)=\($0.value)" }) { environment in
        posix_spawnp(&pid, command[0], &actions, &attributes, arguments, environment)
      }
    }
    try #require(result == 0, "\(command[0]) could not be started: \(String(cString: strerror(result)))")
    self.pid = pid
  }

  func send(_ signal: CInt) { kill(pid, signal) }

  /// The processes that it has started and that are not gone.
  var children: [pid_t] {
    let text = (try? String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)) ?? ""
    return text.split(separator: " ").compactMap { pid_t($0) }
  }

  /// Waits until something holds, or the process has ended; false where neither came within the limit.
  func wait(_ limit: Duration = .seconds(20), until condition: () throws -> Bool) rethrows -> Bool {
    while ContinuousClock.now - started < limit {
      if try condition() { return true }
      usleep(5000)
    }
    return false
  }

  /// Waits for the end, and ends the process itself when that does not come.
  func finish(within limit: Duration = .seconds(120)) throws -> Ran {
    var status: CInt = 0
    while waitpid(pid, &status, WNOHANG) == 0 {
      observe()
      guard ContinuousClock.now - started < limit else {
        kill(-pid, SIGKILL)
        waitpid(pid, &status, 0)
        Issue.record("the command did not end within \(limit)")
        break
      }
      usleep(watchesBuffers ? 20_000 : 5000)
    }
    drainTerminal()
    if let terminal { close(terminal) }
    let texts = files.map { (try? String(contentsOfFile: $0, encoding: .utf8)) ?? "" }
    for file in files { unlink(file) }
    let signal = status & 0x7f
    return Ran(
      standardOutput: terminal == nil ? texts[0] : String(decoding: terminalText, as: UTF8.self),
      standardError: texts[1], code: signal == 0 ? status >> 8 & 0xff : 128 + signal, peakMemory: peakMemory,
      peakBuffers: peakBuffers, duration: ContinuousClock.now - started)
  }

  private func observe() {
    drainTerminal()
    if let status = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8),
      let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
      let kibibytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Int($0) })
    {
      // The kernel keeps the maximum. Before the command is loaded, this is the memory of the tests' own process.
      peakMemory = kibibytes * 1024
    }
    if watchesBuffers { peakBuffers = max(peakBuffers, Tool.dmaBufs().bytes) }
  }

  private func drainTerminal() {
    guard let terminal else { return }
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = read(terminal, &chunk, chunk.count)
      guard count > 0 else { return }
      terminalText += chunk.prefix(count)
    }
  }

  private static func newTerminal() throws -> CInt {
    let terminal = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
    try #require(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0, "no terminal to be had")
    return terminal
  }

  private static func withCStrings<Result>(
    _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
  ) -> Result {
    let copies = strings.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    return body(copies + [nil])
  }
}

/// The binary under test, and the machine it runs on.
enum Tool {
  /// The folder it was built in.
  static let folder = ProcessInfo.processInfo.environment["PRIME_TOOL_BIN_DIR"] ?? ""
  static let path = folder.isEmpty ? "prime-tool" : "\(folder)/prime-tool"
  static let release = ProcessInfo.processInfo.environment["PRIME_LAB"]

  /// Runs `prime-tool` with these arguments.
  static func run(_ arguments: String..., limit: Duration = .seconds(120)) throws -> Ran {
    try run(arguments, limit: limit)
  }

  /// Runs `prime-tool` to its end.
  static func run(_ arguments: [String], limit: Duration) throws -> Ran {
    try RunningTool(arguments).finish(within: limit)
  }

  /// Runs a line of shell in which `prime-tool` is on the path.
  static func shell(_ line: String, limit: Duration = .seconds(120)) throws -> Ran {
    try RunningTool(command: ["sh", "-c", line]).finish(within: limit)
  }

  /// Whether a JSON file is as a schema of the repository says.
  static func validate(_ path: String, _ schema: String) throws -> Ran { try validate([(path, schema)]) }

  /// Whether each JSON file is as its schema says.
  static func validate(_ files: [(path: String, schema: String)]) throws -> Ran {
    let arguments = files.map { "\($0.path) \($0.schema)" }.joined(separator: " ")
    return try shell(
      "/usr/bin/python3 -Es -c 'import json,sys,jsonschema;"
        + " [jsonschema.validate(*[json.load(open(name)) for name in sys.argv[place:place + 2]])"
        + " for place in range(1, len(sys.argv), 2)]' \(arguments)",
      limit: .seconds(120))
  }

  /// How many dma-bufs the kernel has, and their size in bytes, as the last line of `bufinfo` tells.
  static func dmaBufs() -> (count: Int, bytes: Int) {
    guard let text = try? String(contentsOfFile: "/sys/kernel/debug/dma_buf/bufinfo", encoding: .utf8),
      let total = text.split(separator: "\n").last(where: { $0.hasPrefix("Total ") })
    else { return (-1, -1) }
    let numbers = total.split { !$0.isNumber }.compactMap { Int($0) }
    return numbers.count == 2 ? (numbers[0], numbers[1]) : (-1, -1)
  }

  /// Waits for the kernel to free what was just closed; false where it does not within two seconds.
  static func hasNoDMABufs() -> Bool {
    for _ in 0..<200 where dmaBufs().count != 0 { usleep(10_000) }
    return dmaBufs() == (0, 0)
  }

  /// What debugfs says vkms shows, without the marks of the last commit.
  static func displayState() throws -> String {
    let text = try String(contentsOfFile: "/sys/kernel/debug/dri/vkms/state", encoding: .utf8)
    return text.split(separator: "\n").filter { !$0.contains("_changed=") }.joined(separator: "\n")
  }
}
