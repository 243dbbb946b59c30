public import Prime

/// What a witness is asked to do with a picture: 128 bytes; see `docs/handover.md`.
///
/// Nothing in it tells what the picture shows.
public struct WitnessRequest: Hashable, Sendable {
  /// What is to be done.
  public enum Task: UInt32, Hashable, Sendable, CaseIterable {
    /// Read the picture of the buffer and put it into the memory.
    case look = 1
    /// Draw the picture of the memory into a buffer of one's own, and hand that over.
    case draw = 2
  }

  /// The size of the message.
  public static let byteCount = 128
  static let kind: UInt16 = 4
  private static let again: UInt32 = 1
  private static let firstSlot = 64
  private static let slotBytes = 16

  /// What is to be done.
  public var task: Task
  /// The pixel format, of the buffer and of the memory.
  public var fourcc: Fourcc
  /// In pixels, never 0.
  public var width: UInt32
  /// In pixels, never 0.
  public var height: UInt32
  /// How the buffer's pixels are arranged.
  public var modifier: Modifier
  /// Whether it is about the buffer and the memory of the request before, so that no descriptors come with it.
  public var isAgain: Bool
  /// Where the first row begins in the memory, in bytes.
  public var memoryOffset: UInt64
  /// The distance from one row to the next in the memory, in bytes.
  public var memoryPitch: UInt32
  /// Where the picture lies in the buffer; nil where the witness makes it.
  public var plane: HandoverOffer.Plane?

  /// Asks for something to be done with a picture that lies in one plane.
  init(_ task: Task, _ picture: PictureLayout, modifier: Modifier, isAgain: Bool, memory: PlaneLayout) {
    self.task = task
    fourcc = picture.format.fourcc
    // A layout cannot be made of larger numbers.
    width = UInt32(truncatingIfNeeded: picture.width)
    height = UInt32(truncatingIfNeeded: picture.height)
    self.modifier = modifier
    self.isAgain = isAgain
    memoryOffset = UInt64(memory.offset)
    memoryPitch = UInt32(truncatingIfNeeded: memory.pitch)
    plane =
      task == .draw
      ? nil
      : picture.planes.first.map {
        HandoverOffer.Plane(buffer: 0, pitch: UInt32(truncatingIfNeeded: $0.pitch), offset: UInt64($0.offset))
      }
  }

  /// How many descriptors come with it: of the buffer that is looked at, and of the memory behind it.
  public var descriptorCount: Int { isAgain ? 0 : task == .look ? 2 : 1 }

  /// Reads a message; every byte of it has a meaning or must be zero.
  public init(parsing bytes: [UInt8]) throws(HandoverError) {
    try HandoverWire.check(bytes, isKind: Self.kind, byteCount: Self.byteCount)
    func word(_ offset: Int) -> UInt32 { HandoverWire.word(bytes, at: offset) }
    (fourcc, width, height) = try HandoverWire.picture(bytes)
    guard let task = Task(rawValue: word(28)) else { throw .field("the task", UInt64(word(28))) }
    self.task = task
    modifier = Modifier(rawValue: bytes.number(at: 32, as: UInt64.self))
    guard word(40) & ~Self.again == 0 else { throw .field("the flags", UInt64(word(40))) }
    isAgain = word(40) & Self.again != 0
    let planes = word(44)
    guard planes == (task == .look ? 1 : 0) else { throw .field("the number of planes", UInt64(planes)) }
    memoryOffset = bytes.number(at: 48, as: UInt64.self)
    memoryPitch = word(56)
    guard memoryPitch > 0 else { throw .field("the pitch of the memory", 0) }
    guard word(60) == 0 else { throw .reserved("the word before the plane") }
    let start = Self.firstSlot
    if planes == 1 {
      guard word(start) == 0 else { throw .field("the buffer of plane 0", UInt64(word(start))) }
      guard word(start + 4) > 0 else { throw .field("the pitch of plane 0", 0) }
      plane = HandoverOffer.Plane(
        buffer: 0, pitch: word(start + 4), offset: bytes.number(at: start + 8, as: UInt64.self))
    } else {
      plane = nil
    }
    let used = start + Int(planes) * Self.slotBytes
    guard bytes[used...].allSatisfy({ $0 == 0 }) else { throw .reserved("what follows the planes") }
  }

  /// The message.
  public var bytes: [UInt8] {
    var bytes = HandoverWire.header(kind: Self.kind, byteCount: Self.byteCount)
    func append(_ value: UInt32) { bytes.append(number: value) }
    for word in [fourcc.rawValue, width, height, task.rawValue] { append(word) }
    bytes.append(number: modifier.rawValue)
    append(isAgain ? Self.again : 0)
    append(plane == nil ? 0 : 1)
    bytes.append(number: memoryOffset)
    append(memoryPitch)
    append(0)
    if let plane {
      append(0)
      append(plane.pitch)
      bytes.append(number: plane.offset)
    }
    return bytes + [UInt8](repeating: 0, count: max(0, Self.byteCount - bytes.count))
  }
}
