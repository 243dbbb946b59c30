/// What procfs tells of an open file in `/proc/PID/fdinfo` (proc_pid_fdinfo(5)).
package enum DescriptorFacts {
  /// The value behind `key:`; nil where there is no such line.
  ///
  /// The first line counts: a dma-buf's name comes last, and may hold line breaks (dma-buf.c:dma_buf_show_fdinfo).
  package static func value(of key: String, in fdinfo: String) -> String? {
    fdinfo.split(separator: "\n").first { $0.hasPrefix("\(key):") }.map {
      $0.dropFirst(key.count + 1).trimmingPrefix(while: \.isWhitespace).description
    }
  }
}

extension DescriptorFacts {
  /// What this process has open: the file behind each descriptor's number, as `/proc/self/fd` links it.
  ///
  /// The folder is open itself while it is read, and left out. None where there is no `/proc`.
  ///
  /// - Throws: `opendir` where there is one that cannot be read.
  package static func openFiles(by kernel: any KernelCalls) throws(PrimeError) -> [String: String] {
    var files: [String: String] = [:]
    for number in try kernel.presentEntries(of: "/proc/self/fd") {
      guard let file = kernel.linkTarget(of: "/proc/self/fd/\(number)"), !file.hasPrefix("/proc/") else { continue }
      files[number] = file
    }
    return files
  }
}
