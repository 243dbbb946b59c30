import Glibc
import Prime

@main
struct Benchmark {
  /// What writing or comparing may cost, as a multiple of the C library's time.
  static let limit = 1.5

  static let usage = """
    usage: prime-benchmark [--json] [--check] [--repetitions N]

    Measures how fast a pattern is written (beside memset) and compared (beside memcmp).

      --json            print JSON instead of a table
      --check           exit 1 when a ratio is above \(limit)
      --repetitions N   repetitions for each median, 1 to 10000 (default 31)
    """

  static func main() throws {
    var json = false
    var check = false
    var repetitions = 31
    var arguments = CommandLine.arguments.dropFirst()
    while let argument = arguments.popFirst() {
      switch argument {
      case "--json": json = true
      case "--check": check = true
      case "--repetitions":
        guard let number = arguments.popFirst().flatMap({ Int($0) }), (1...10_000).contains(number) else {
          fail("--repetitions needs a number from 1 to 10000")
        }
        repetitions = number
      case "--help", "-h":
        print(usage)
        return
      default: fail("unknown argument \(argument)")
      }
    }
    let measurements = try measureAll(repetitions: repetitions)
    print(json ? Report.json(measurements, limit: limit) : Report.table(measurements))
    let worst = measurements.map { max($0.fill.ratio, $0.compare.ratio) }.max() ?? 0
    guard check, worst > limit else { return }
    complain("prime-benchmark: the highest ratio is \(rounded(worst, 2)), above \(limit)")
    exit(1)
  }

  private static func measureAll(repetitions: Int) throws -> [Measurement] {
    var measurements: [Measurement] = []
    for (width, height) in [(1920, 1080), (3840, 2160)] {
      for fourcc in [Fourcc.xrgb8888, .rgb565, .xrgb16161616] {
        guard let format = PixelFormat(fourcc) else { continue }
        measurements.append(try measure(format, width: width, height: height, repetitions: repetitions))
      }
    }
    return measurements
  }

  private static func fail(_ message: String) -> Never {
    complain("prime-benchmark: \(message)\n\(usage)")
    exit(64)
  }

  private static func complain(_ message: String) {
    let line = Array((message + "\n").utf8)
    // SAFETY: the pointer is used within the call, with the array's own count.
    _ = unsafe line.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
