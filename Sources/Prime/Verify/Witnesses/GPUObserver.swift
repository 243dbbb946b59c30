internal import Prime

/// The importer's GPU, in a program of its own, so that a driver that hangs or dies takes nothing with it.
final class GPUObserver: Observer {
  let name = ObserverName.gpu
  private let witness: Witness
  private let buffer: DMABuf
  private let copies: TwoCopies?

  init(
    _ picture: borrowing SharedPicture, on importer: Device, from exporter: DeviceIdentity?,
    by program: WitnessProgram, through node: DRMNode?
  ) throws(PrimeError) {
    copies = try TwoCopies(of: picture, on: importer, madeBy: exporter)
    witness = try Witness(
      program, on: node ?? importer.node, for: picture.layout, modifier: picture.description.modifier)
    try picture.requireOneBuffer(.witness, on: program.name)
    self.buffer = try picture.first.duplicate()
  }

  var isProof: Bool { witness.report?.kind == .device }
  var objection: String? { witness.report?.objection }
  let isOutside = true

  /// Who looked.
  var report: WitnessReport? { witness.report }

  /// What is to be said of two copies that nobody transfers.
  var warning: String? {
    guard let report = witness.report, report.transfer != nil, let copies else { return nil }
    return TwoCopies.warning(copies.device, .toHost)
      + (report.isUpsideDown == true
        ? "; the GPU has the picture upside down, as virgl keeps what a display shows" : "")
  }

  /// Looks, and where the device has a copy of its own that shows something else, once more behind a transfer.
  func look(_ examination: Examination, deadline: Deadline) throws -> Mismatch? {
    let (mismatch, tookTransfer) = try TwoCopies.look(renewing: copies, .toHost, deadline: deadline) { isRenewed in
      let upright = try seen(examination, deadline)
      guard isRenewed, let upright else { return upright }
      // virgl keeps a display's buffers upside down for its GPU (VIRGL_RESOURCE_Y_0_TOP).
      return try witness.turned(examination).map { _ in upright }
    }
    if tookTransfer { witness.needs(.toHost) }
    guard let mismatch, let report = witness.report, report.kind != .device else { return mismatch }
    throw .untestable(
      .witness, on: report.program,
      reason: "\(report.program) shows something else, by \(report.renderer), which is not known to be a device and is "
        + "not believed: \(mismatch.sentence)") as PrimeError
  }

  private func seen(_ examination: Examination, _ deadline: Deadline) throws -> Mismatch? {
    try witness.look(
      at: buffer.rawDescriptor, inode: buffer.identity.inode, examination, deadline: deadline)
  }

  func close() { witness.end() }
}
