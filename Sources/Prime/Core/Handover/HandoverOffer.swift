/// What an exporter says of the buffers that it hands over: the first message of a hand-over, 128 bytes.
///
/// It says what to expect; what is true is asked of the descriptors that come with it (`HandedOverPicture`).
public struct HandoverOffer: Hashable, Sendable {
  /// Where a plane lies.
  public struct Plane: Hashable, Sendable {
    /// Which of the descriptors, from 0.
    public var buffer: UInt32
    /// The distance from one row to the next, in bytes.
    public var pitch: UInt32
    /// Where the first row begins, in bytes from the start of that buffer.
    public var offset: UInt64

    /// Places a plane.
    public init(buffer: UInt32, pitch: UInt32, offset: UInt64) {
      self.buffer = buffer
      self.pitch = pitch
      self.offset = offset
    }
  }

  /// The size of the message.
  public static let byteCount = 128
  static let kind: UInt16 = 1
  private static let planeSlots = 4
  private static let firstSlot = 64
  private static let slotBytes = 16
  private static let writeBackFlag: UInt32 = 1

  /// The pixel format, known or not.
  public var fourcc: Fourcc
  /// Width in pixels, never 0.
  public var width: UInt32
  /// Height in pixels, never 0.
  public var height: UInt32
  /// What every descriptor allows.
  public var access: DMABuf.Access
  /// How pixels are arranged.
  public var modifier: Modifier
  /// What the content is made from: pattern 0 of this seed.
  public var seed: UInt64
  /// One to four planes.
  public var planes: [Plane]
  /// How many descriptors come with the message, one to four.
  public var bufferCount: Int
  /// Whether the importer is asked to write pattern 1 into the picture.
  public var asksForWriteBack: Bool

  /// Describes a picture; its dma-bufs go with the message, in the order of `PlaneLayout.buffer`.
  public init(
    _ description: BufferDescription, access: DMABuf.Access, seed: UInt64, asksForWriteBack: Bool
  ) {
    fourcc = description.fourcc
    // A layout cannot be made of larger numbers.
    width = UInt32(truncatingIfNeeded: description.width)
    height = UInt32(truncatingIfNeeded: description.height)
    self.access = access
    modifier = description.modifier
    self.seed = seed
    planes = description.layout.planes.map {
      Plane(
        buffer: UInt32(truncatingIfNeeded: $0.buffer), pitch: UInt32(truncatingIfNeeded: $0.pitch),
        offset: UInt64($0.offset))
    }
    bufferCount = description.layout.bufferCount
    self.asksForWriteBack = asksForWriteBack
  }

  /// Reads a message; every byte of it has a meaning or must be zero.
  ///
  /// - Throws: `HandoverError`, which names the first field that is wrong.
  public init(parsing bytes: [UInt8]) throws(HandoverError) {
    try HandoverWire.check(bytes, isKind: Self.kind, byteCount: Self.byteCount)
    func word(_ offset: Int) -> UInt32 { HandoverWire.word(bytes, at: offset) }
    (fourcc, width, height) = try HandoverWire.picture(bytes)
    switch word(28) {
    case 1: access = .read
    case 3: access = .readWrite
    case let other: throw .field("the access", UInt64(other))
    }
    modifier = Modifier(rawValue: bytes.number(at: 32, as: UInt64.self))
    seed = bytes.number(at: 40, as: UInt64.self)
    let planeCount = word(48)
    guard (1...UInt32(Self.planeSlots)).contains(planeCount) else {
      throw .field("the number of planes", UInt64(planeCount))
    }
    let buffers = word(52)
    guard (1...planeCount).contains(buffers) else { throw .field("the number of buffers", UInt64(buffers)) }
    bufferCount = Int(buffers)
    let flags = word(56)
    guard flags & ~Self.writeBackFlag == 0 else { throw .field("the flags", UInt64(flags)) }
    asksForWriteBack = flags & Self.writeBackFlag != 0
    guard !asksForWriteBack || access == .readWrite else {
      throw .field("with access 1 the write-back flag", 1)
    }
    guard word(60) == 0 else { throw .reserved("the word before the planes") }
    planes = []
    for index in 0..<Self.planeSlots {
      let start = Self.firstSlot + index * Self.slotBytes
      let plane = Plane(
        buffer: word(start), pitch: word(start + 4), offset: bytes.number(at: start + 8, as: UInt64.self))
      guard index < Int(planeCount) else {
        guard plane == Plane(buffer: 0, pitch: 0, offset: 0) else {
          throw .reserved("plane \(index), which is not used,")
        }
        continue
      }
      guard plane.buffer < buffers else { throw .field("the buffer of plane \(index)", UInt64(plane.buffer)) }
      guard plane.pitch > 0 else { throw .field("the pitch of plane \(index)", 0) }
      planes.append(plane)
    }
    for index in 0..<bufferCount where !planes.contains(where: { Int($0.buffer) == index }) {
      throw .unusedBuffer(index)
    }
  }

  /// The message.
  public var bytes: [UInt8] {
    var bytes = HandoverWire.header(kind: Self.kind, byteCount: Self.byteCount)
    func append(_ value: UInt32) { bytes.append(number: value) }
    append(fourcc.rawValue)
    append(width)
    append(height)
    append(access == .read ? 1 : 3)
    bytes.append(number: modifier.rawValue)
    bytes.append(number: seed)
    append(UInt32(planes.count))
    append(UInt32(bufferCount))
    append(asksForWriteBack ? Self.writeBackFlag : 0)
    append(0)
    for plane in planes {
      append(plane.buffer)
      append(plane.pitch)
      bytes.append(number: plane.offset)
    }
    bytes += [UInt8](repeating: 0, count: max(0, Self.byteCount - bytes.count))
    return bytes
  }
}

extension HandoverOffer {
  /// The format's description, with the planes checked as far as numbers alone tell.
  package func format() throws(HandoverError) -> PixelFormat {
    guard let format = PixelFormat(fourcc) else { throw .format(fourcc) }
    guard modifier == .linear || modifier == .invalid else { throw .modifier(modifier) }
    guard planes.count == format.planes.count else {
      throw .layout(.planeCount(format: fourcc, needed: format.planes.count, given: planes.count))
    }
    return format
  }

  /// Where the picture lies in the dma-bufs that the message came with; `buffers` says which of them each number is, where one
  /// dma-buf came under several.
  ///
  /// That each plane ends within its dma-buf is for `SharedPicture` to check.
  package func layout(_ format: PixelFormat, in buffers: [Int]) throws(HandoverError) -> PictureLayout {
    for (index, plane) in planes.enumerated() where plane.offset > UInt64(UInt32.max) {
      throw .field("the offset of plane \(index)", plane.offset)
    }
    do throws(LayoutError) {
      return try PictureLayout(
        format: format, width: Int(width), height: Int(height),
        planes: planes.map {
          PlaneLayout(buffer: buffers[Int($0.buffer)], offset: Int(clamping: $0.offset), pitch: Int($0.pitch))
        })
    } catch {
      throw .layout(error)
    }
  }
}
