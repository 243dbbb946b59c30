import Prime
import PrimeProcesses
import PrimeVerify

/// A report of something that was done with drivers, which the kernel may have complained of meanwhile.
protocol Blamable {
  var verdict: Verdict { get set }
  var reason: String? { get set }
  var kernelLog: [String]? { get set }
}

extension CellReport: Blamable {}
extension ScanoutReport: Blamable {}
extension HandoverReport: Blamable {}

extension Blamable {
  /// What the kernel complained of belongs to a report where it names its worker or a driver of those it is about: nothing is
  /// proven then.
  ///
  /// What names nobody is told and decides nothing.
  mutating func blame(_ complaints: Supervisor.Complaints, on drivers: Set<String>) {
    let found = complaints.complaints.map { complaint in
      // Its threads have numbers of their own, and may be gone.
      (
        complaint,
        complaint.culprit(
          pids: [complaints.process], comms: [MasterHolder.taskName(ofWorker: complaints.process)], drivers: drivers)
      )
    }
    let told = found.filter { $0.1 != .others }.map(\.0)
    guard !told.isEmpty else { return }
    kernelLog = (kernelLog ?? []) + told.flatMap(\.excerpt)
    guard let own = found.first(where: { $0.1 == .ours })?.0 else { return }
    let before = verdict == .error ? reason.map { "\($0); " } ?? "" : "it would be \(verdict.rawValue), but "
    verdict = .error
    reason = "\(before)the kernel complained meanwhile: \(own.headline)"
  }
}

extension [DeviceDescription] {
  /// The drivers behind some nodes.
  func drivers(of nodes: [DRMNode?]) -> Set<String> {
    let nodes = nodes.compactMap(\.self)
    return Set(
      filter { device in
        [device.primary, device.render].contains { $0.map(nodes.contains) == true }
      }.map(\.driver))
  }
}
