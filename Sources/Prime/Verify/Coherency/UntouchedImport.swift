internal import Prime

/// What an importer did with a buffer that no CPU had touched yet.
///
/// amdgpu and xe leave a buffer in video memory until somebody begins to read it (`DMA_BUF_IOCTL_SYNC` with START and READ), and
/// move it to system memory then: an import behind such a look is one of another placement.
enum UntouchedImport: Hashable {
  /// It took the buffer.
  case taken
  /// It refused the buffer, and took it once a look of the CPU had begun and ended.
  case refused(Errno)

  /// What has to be said of a pair that shares; nil where nothing does.
  func objection(_ exporter: Exporter, _ importer: Importer) -> String? {
    guard case .refused(let errno) = self else { return nil }
    let (maker, taker) = (exporter.name, importer.name)
    return "\(taker) refuses the buffer where \(maker) made it (drmPrimeFDToHandle \(errno.name)), and takes it once "
      + "the CPU has begun to read it, for which \(maker) may move it"
  }
}
