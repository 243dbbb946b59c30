internal import Prime
internal import Synchronization

/// What earlier looks showed of the devices that were looked with, whichever buffer it was: so that the hundredth cell of a
/// run does not find out again what the first one did.
///
/// It belongs to one process and one run. What it knows makes a look shorter, and never stands in for one: a display whose
/// checksum was seen to change with every control is tried with one more of them in each look, another one each time, and a
/// picture that was drawn on the display device itself need not be drawn there again unless what was imported looks different.
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

  /// A picture that was drawn on the display device itself, and whose checksum came from a source.
  private struct DrawnPicture: Hashable {
    var source: ChecksumSource
    var pattern: Pattern
  }

  private struct State {
    var trusted: Set<ChecksumSource> = []
    var checksums: [DrawnPicture: [UInt32]] = [:]
    var looks: [ChecksumSource: Int] = [:]
    var objections: [Pipe: (count: Int, last: PrimeError)] = [:]
    var waitsForFences: [Exporter: Bool] = [:]
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

  /// The checksum of a picture that was drawn on the display device itself before; nil where none was.
  func checksum(of expected: ScanoutExpectation, from source: ChecksumSource) -> [UInt32]? {
    guard let picture = picture(expected, source) else { return nil }
    return state.withLock { $0.checksums[picture] }
  }

  /// Notes the checksum of a picture that was drawn on the display device itself.
  func note(_ checksum: [UInt32], of expected: ScanoutExpectation, from source: ChecksumSource) {
    guard let picture = picture(expected, source) else { return }
    state.withLock {
      if $0.checksums.count >= Self.pictureLimit { $0.checksums = [:] }
      $0.checksums[picture] = checksum
    }
  }

  /// The cells of a run show the same few patterns again and again; those of `scanout` differ from frame to frame, without end.
  private static let pictureLimit = 64

  private func picture(_ expected: ScanoutExpectation, _ source: ChecksumSource) -> DrawnPicture? {
    guard case .pattern(let pattern) = expected.content, expected.layers == nil else { return nil }
    return DrawnPicture(source: source, pattern: pattern)
  }

  /// Which control a look takes that takes only one: they have their turns.
  func nextTurn(of source: ChecksumSource) -> Int {
    state.withLock {
      let turn = $0.looks[source, default: 0]
      $0.looks[source] = turn + 1
      return turn
    }
  }

  /// Whether START waits for the fences on an exporter's buffers, whoever imports them: seen once in a run, and again where it
  /// could not be seen.
  func waitsForFences(_ exporter: Exporter, _ look: () -> Bool?) -> Bool? {
    if let known = state.withLock({ $0.waitsForFences[exporter] }) { return known }
    guard let seen = look() else { return nil }
    state.withLock { $0.waitsForFences[exporter] = seen }
    return seen
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
