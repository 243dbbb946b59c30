internal import Prime

/// A buffer that an importer takes, which is what a statement about sharing needs before it can look.
///
/// Importers that reach one piece of memory alone are free to refuse with EINVAL what lies in several
/// (drm_gem_dma_helper.c:drm_gem_dma_prime_import_sg_table), and where memory lies is luck. A page is always one piece.
enum TakenBuffer {
  /// A large buffer and what an importer answers for it; where that is EINVAL and it takes a page, the page and that answer.
  static func found<Buffer, Answer>(
    _ large: Buffer, orOnePage makePage: () -> CallResult<Buffer>, asking importer: (Buffer) -> CallResult<Answer>
  ) -> (buffer: Buffer, answer: CallResult<Answer>) {
    let answer = importer(large)
    guard case .failure(.invalidArgument) = answer, case .success(let page) = makePage() else { return (large, answer) }
    let ofPage = importer(page)
    guard case .success = ofPage else { return (large, answer) }
    return (page, ofPage)
  }
}

extension ProbeBuffer {
  /// A buffer of one page.
  static func onePage(_ exporter: Subject.Exporter, with kernel: KernelProbe) -> CallResult<ProbeBuffer> {
    make(exporter, with: kernel, width: 64, height: UInt32(PageMarks.pageSize / 256))
  }
}

extension Check {
  /// A fresh buffer of the subject's exporter that its importer takes: four pages, or one where it refuses those with EINVAL.
  func takenBuffer() throws(Statement.Stop) -> ProbeBuffer {
    guard let importer = subject.device else { throw .broken("this subject has no importer") }
    return try takenBuffer(by: importer)
  }

  /// A fresh buffer of the subject's exporter that another device takes: four pages, or one where it refuses those with EINVAL.
  func takenBuffer(by importer: DeviceDescription) throws(Statement.Stop) -> ProbeBuffer {
    let large = try fourPages()
    guard let exporter = subject.exporter, !takesManyPieces(importer) else { return large }
    let (buffer, _) = TakenBuffer.found(
      large, orOnePage: { ProbeBuffer.onePage(exporter, with: kernel) }, asking: { answer(of: importer, for: $0) })
    if buffer != large {
      note("with one page: four were refused with EINVAL, as they may be where one piece is needed")
    }
    return buffer
  }

  /// Whether the subject's importer refuses this buffer with EINVAL and takes one page of the same exporter.
  func isRefusedForItsPieces(_ buffer: ProbeBuffer) -> Bool {
    guard let importer = subject.device, let exporter = subject.exporter, !takesManyPieces(importer),
      kernel.alteredCall == nil
    else { return false }
    return TakenBuffer.found(
      buffer, orOnePage: { ProbeBuffer.onePage(exporter, with: kernel) }, asking: { answer(of: importer, for: $0) }
    ).buffer != buffer
  }

  /// Whether the kernel cannot map this buffer for the subject's importer through bounce buffers, while it can a smaller one.
  func isTooLargeToBounce(_ buffer: ProbeBuffer) -> Bool {
    guard let importer = subject.device, subject.isBounced, kernel.alteredCall == nil else { return false }
    guard case .failure(.inputOutput) = answer(of: importer, for: buffer) else { return false }
    return true
  }

  private func takesManyPieces(_ importer: DeviceDescription) -> Bool {
    machine.family(of: Subject(device: importer, name: importer.driver, driver: importer.driver)).family?
      .takesManyPieces == true
  }

  /// What an importer answers for a buffer, on an open file of its own that is gone afterwards.
  ///
  /// Not a part of what the statement looks at, so it is neither recorded nor altered.
  private func answer(of importer: DeviceDescription, for buffer: ProbeBuffer) -> CallResult<UInt32> {
    guard let path = importer.primary?.path else { return .failure(.noSuchDevice) }
    let probe = KernelProbe()
    defer { probe.cleanUp() }
    return probe.openDevice(path).flatMap { probe.primeFDToHandle($0, buffer.dmaBuf) }
  }
}
