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
