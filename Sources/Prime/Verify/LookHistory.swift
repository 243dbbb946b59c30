internal import Synchronization

/// What earlier looks showed of the devices that were looked with, whichever buffer it was: so that the hundredth cell of a
/// run does not find out again what the first one did.
///
/// It belongs to one process and one run. What it knows makes a look shorter, and never stands in for one: a display whose
/// checksum was seen to change with every control is tried with one more of them in each look, another one each time.
package final class LookHistory: Sendable {
  /// A CRTC of a device.
  struct Pipe: Hashable, Sendable {
    var device: DeviceNumber
    var crtcIndex: Int

    /// The CRTC of a route.
    init(of route: DisplayRoute) {
      device = route.device.identity.number
      crtcIndex = route.crtcIndex
    }
  }

  /// A source of checksums, for pictures of one size and format: what was tried with those says nothing of others.
  struct ChecksumSource: Hashable, Sendable {
    var pipe: Pipe
    var name: String
    /// In pixels.
    var width: Int
    var height: Int
    var format: Fourcc
    /// Whether two planes made up the picture.
    var isLayered: Bool
  }

  private struct State {
    var trusted: Set<ChecksumSource> = []
    var looks: [ChecksumSource: Int] = [:]
    var objections: [Pipe: (count: Int, last: PrimeError)] = [:]
  }

  private let state = Mutex(State())

  /// Knows nothing yet.
  package init() {}

  /// Whether it was seen to change with every control.
  func isTrusted(_ source: ChecksumSource) -> Bool { state.withLock { $0.trusted.contains(source) } }

  /// Notes that it was seen to change with every control.
  func trust(_ source: ChecksumSource) {
    state.withLock {
      $0.trusted.insert(source)
      $0.objections[source.pipe] = nil
    }
  }

  /// Which control a look takes that takes only one: they have their turns.
  func nextTurn(of source: ChecksumSource) -> Int {
    state.withLock {
      let turn = $0.looks[source, default: 0]
      $0.looks[source] = turn + 1
      return turn
    }
  }

  /// Why the checksums of a CRTC are not looked at any more: nothing could be concluded from them twice in a row.
  func objection(to pipe: Pipe) -> PrimeError? {
    state.withLock { state in state.objections[pipe].flatMap { $0.count >= 2 ? $0.last : nil } }
  }

  /// Notes that nothing could be concluded from them.
  func object(to pipe: Pipe, _ error: PrimeError) {
    state.withLock { $0.objections[pipe] = (($0.objections[pipe]?.count ?? 0) + 1, error) }
  }
}
