internal import Prime

/// What a display showed before a statement took it, kept outside of the process that runs it.
///
/// A statement puts its display back itself. Where it died before, or could not, this does.
struct DisplayKeeper: Sendable {
  private let node: DRMNode
  private let state: SavedDisplayState
  private let kernel: any KernelCalls

  /// Reads what a display shows; nil where it cannot be read, which is then for the statement to say.
  ///
  /// Nothing stays open: a child would inherit it.
  init?(_ node: DRMNode, kernel: any KernelCalls) {
    guard let device = try? Device.open(node, kernel: kernel), let state = try? SavedDisplayState(of: device) else {
      return nil
    }
    (self.node, self.state, self.kernel) = (node, state, kernel)
  }

  /// Puts the display back where it is not as it was, and says what was left changed; nil where nothing was.
  func putBack() -> String? {
    // A device that is gone shows nothing.
    guard let device = try? Device.open(node, kernel: kernel) else { return nil }
    do throws(PrimeError) {
      let changes = state.pictureChanges(to: try SavedDisplayState(of: device))
      guard !changes.isEmpty else { return nil }
      try device.becomeMaster()
      defer { device.dropMaster() }
      try state.restore(on: device, deadline: Deadline(in: .seconds(10), on: kernel))
      return changes.joined(separator: ", ")
    } catch {
      return "\(error)"
    }
  }
}

/// Whether somebody may be looking at a display.
enum HeldDisplay {
  /// Why a display is left alone; nil where nobody has it open, or nothing is connected to it.
  static func reason(_ node: DRMNode, open file: CInt, kernel: some KernelCalls) -> String? {
    let others = MasterHolder.processes(holding: node.path, by: kernel)
    guard !others.isEmpty, case .success(let resources) = kernel.kmsResources(file) else { return nil }
    // One that nobody has asked since the boot is unknown, and may have a screen.
    let connected = resources.connectors.compactMap { try? kernel.kmsConnector(file, id: $0).get() }.map(Connector.init)
      .first { !$0.isWriteback && $0.connection != .disconnected }
    guard let connected else { return nil }
    let names = others.map { "\($0.name) (pid \($0.pid))" }.joined(separator: ", ")
    return "\(names) has \(node.path) open, and \(connected.name) is \(connected.connection.rawValue): "
      + Remedy.allowedModeset.description
  }
}
