/// What a command had of dma-bufs while it ran: the most of it at once, and what grew.
///
/// A command that gathers buffers and frees them only by ending leaves nothing behind, and would not end well if it ran on.
public struct DMABufGrowth: Hashable, Sendable, Codable {
  /// What was there at one moment, of what was made while the command ran.
  public struct Moment: Hashable, Sendable, Codable {
    /// Since the command was started.
    public var seconds: Double
    /// Dma-bufs.
    public var buffers: Int
    /// Their bytes, as far as sizes are known.
    public var bytes: Int
    /// Descriptors of dma-bufs in processes that were started with the command or after it.
    public var descriptors: Int

    package init(seconds: Double, buffers: Int, bytes: Int, descriptors: Int) {
      self.seconds = seconds
      self.buffers = buffers
      self.bytes = bytes
      self.descriptors = descriptors
    }
  }

  /// A number that grew all the time.
  public struct Growth: Hashable, Sendable, Codable {
    /// What can grow.
    public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
      case buffers, bytes, descriptors
    }

    /// Which number.
    public var what: Kind
    /// The least of it in each quarter of the moments.
    public var lows: [Int]
  }

  /// The most of each number, not necessarily at once; the seconds are those of the most dma-bufs.
  public private(set) var peak = Moment(seconds: 0, buffers: 0, bytes: 0, descriptors: 0)
  /// The moments that were looked at, evenly spaced; of a long run every second one, every fourth, and so on.
  public private(set) var series: [Moment] = []

  private static let limit = 256

  /// Of how many moments one is kept.
  private var stride = 1
  private var count = 0

  private enum CodingKeys: CodingKey {
    case peak, series
  }

  package init() {}

  /// Adds a moment of which only the most counts, since the command may have been at its end.
  package mutating func addLast(_ moment: Moment) {
    if moment.buffers > peak.buffers { peak.seconds = moment.seconds }
    peak.buffers = max(peak.buffers, moment.buffers)
    peak.bytes = max(peak.bytes, moment.bytes)
    peak.descriptors = max(peak.descriptors, moment.descriptors)
  }

  /// Adds a moment, later than those before.
  package mutating func add(_ moment: Moment) {
    addLast(moment)
    if count.isMultiple(of: stride) { series.append(moment) }
    count += 1
    guard series.count == Self.limit else { return }
    series = series.indices.filter { $0.isMultiple(of: 2) }.map { series[$0] }
    stride *= 2
  }

  /// What grew: the least of it was more in each quarter of the time than in the one before.
  ///
  /// Its time begins with the first dma-buf: to start takes a program as long as it takes. One that makes what it needs and
  /// then works with that does not grow. Of fewer than eight moments nothing is said.
  public var growing: [Growth] {
    let series = series.drop { $0.buffers == 0 }
    guard series.count >= 8 else { return [] }
    return Growth.Kind.allCases.compactMap { kind in
      let numbers = series.map { moment in
        switch kind {
        case .buffers: moment.buffers
        case .bytes: moment.bytes
        case .descriptors: moment.descriptors
        }
      }
      let lows = (0..<4).map { quarter in
        numbers[numbers.count * quarter / 4..<numbers.count * (quarter + 1) / 4].min() ?? 0
      }
      return zip(lows, lows.dropFirst()).allSatisfy { $0 < $1 } ? Growth(what: kind, lows: lows) : nil
    }
  }
}
