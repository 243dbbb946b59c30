import Prime

/// Renders measurements for people and for programs.
enum Report {
  static func table(_ measurements: [Measurement]) -> String {
    var lines = [row("picture", "format", "work", "Prime GB/s", "libc GB/s", "time ratio")]
    for measurement in measurements {
      let size = "\(measurement.width)x\(measurement.height)"
      for (work, comparison) in works(of: measurement) {
        lines.append(
          row(
            size, measurement.format.fourcc.name, work, rounded(comparison.primeRate, 1),
            rounded(comparison.referenceRate, 1), rounded(comparison.ratio, 2)))
      }
    }
    return lines.joined(separator: "\n")
  }

  static func json(_ measurements: [Measurement], limit: Double) -> String {
    var entries: [String] = []
    for measurement in measurements {
      for (work, comparison) in works(of: measurement) {
        entries.append(
          """
              {"width": \(measurement.width), "height": \(measurement.height), \
          "format": "\(measurement.format.fourcc.name)", "work": "\(work)", "bytes": \(comparison.byteCount), \
          "primeNanoseconds": \(rounded(comparison.prime, 0)), \
          "referenceNanoseconds": \(rounded(comparison.reference, 0)), "ratio": \(rounded(comparison.ratio, 3))}
          """)
      }
    }
    return """
      {
        "schema": 1,
        "limit": \(limit),
        "measurements": [
      \(entries.joined(separator: ",\n"))
        ]
      }
      """
  }

  private static func works(of measurement: Measurement) -> [(String, Comparison)] {
    [("fill / memset", measurement.fill), ("compare / memcmp", measurement.compare)]
  }

  private static func row(_ columns: String...) -> String {
    let widths = [11, 14, 18]
    var line = ""
    for (index, column) in columns.enumerated() {
      let missing = String(repeating: " ", count: max(0, (index < 3 ? widths[index] : 12) - column.count))
      line += index < 3 ? column + missing : missing + column
    }
    return line
  }
}

/// A positive number with this many digits behind the point.
func rounded(_ value: Double, _ digits: Int) -> String {
  var scale = 1.0
  for _ in 0..<digits { scale *= 10 }
  let whole = Int((value * scale).rounded())
  guard digits > 0 else { return String(whole) }
  let text = String(whole)
  let padded = String(repeating: "0", count: max(0, digits + 1 - text.count)) + text
  return padded.dropLast(digits) + "." + padded.suffix(digits)
}
