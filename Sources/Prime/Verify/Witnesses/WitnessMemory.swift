internal import Prime

/// The memory that a witness puts a picture into, or takes one from: rows with room between them, and guards around them.
///
/// Its size is sealed, so that a witness cannot take away pages that this process has mapped.
struct WitnessMemory: ~Copyable {
  /// Where the picture lies.
  let layout: PictureLayout
  /// The memfd.
  let descriptor: Descriptor
  private var mapping: Mapping
  private let salt: UInt64
  private let byteCount: Int
  /// What the pixels hold while nobody has written them: a picture that no pattern of a run can be made from.
  private let poison: Pattern

  private static let guardBytes = 4096
  /// Between two rows, so that a witness that does not mind the pitch is seen.
  private static let gapBytes = 64

  /// Makes the memory for a picture that lies in one plane.
  init(for picture: PictureLayout, subject: String) throws(PrimeError) {
    let operation: PrimeError.Operation = "memfd_create"
    let rowBytes = (picture.rowBytes(ofPlane: 0) + 3) / 4 * 4
    let layout = try PictureLayout.checked(
      format: picture.format, width: picture.width, height: picture.height,
      planes: [PlaneLayout(offset: Self.guardBytes, pitch: rowBytes + Self.gapBytes)], operation: operation, on: subject
    )
    let byteCount = layout.byteCount + Self.guardBytes
    let kernel = LinuxKernel()
    try MemoryBudget.check(byteCount, operation: operation, on: subject, by: kernel)
    let descriptor = Descriptor(
      adopting: try kernel.createSealedMemory("prime-tool witness", byteCount: Int64(byteCount))
        .orThrow(operation, on: subject), kernel: kernel)
    let mapping = try Mapping(
      descriptor.rawValue, byteCount: byteCount, writable: true, offset: 0, kernel: kernel, subject: subject)
    self.layout = layout
    self.byteCount = byteCount
    self.descriptor = descriptor
    self.mapping = mapping
    salt = .random(in: .min ... .max)
    poison = Pattern(seed: .random(in: .min ... .max), index: 0)
  }

  /// How many bytes a picture has from its first to its last.
  var pictureBytes: Int { layout.byteCount - Self.guardBytes }

  /// Fills everything with what nobody knows.
  mutating func makeUnknown() throws {
    let poison = poison
    try fill { bytes, layout in try poison.fill(&bytes, layout: layout) }
  }

  /// Puts a picture in, with unknown bytes around it.
  mutating func fill(_ picture: (inout MutableSpan<UInt8>, PictureLayout) throws -> Void) throws {
    let (salt, outside, layout) = (salt, outside, layout)
    try mapping.withMutableSpan(of: UInt8.self) { bytes in
      for range in outside {
        for index in range { bytes[index] = Self.guardByte(index, salt) }
      }
      try picture(&bytes, layout)
    }
  }

  /// Says in a sentence what was written outside of the picture; nil where nothing was.
  borrowing func damage() throws -> String? {
    let (salt, outside, layout) = (salt, outside, layout)
    return try mapping.withSpan(of: UInt8.self) { bytes in
      for range in outside {
        guard let index = range.first(where: { bytes[$0] != Self.guardByte($0, salt) }) else { continue }
        let start = layout.planes[0].offset
        if index < start { return "\(start - index) bytes before the picture's first" }
        if index >= layout.byteCount { return "\(index - layout.byteCount + 1) bytes behind the picture's last" }
        return "between its row \((index - start) / layout.planes[0].pitch) and the next"
      }
      return nil
    }
  }

  /// Whether the pixels are what they were when they were made unknown.
  borrowing func isUnwritten() throws -> Bool {
    try mapping.withSpan(of: UInt8.self) { bytes in
      try poison.matches(bytes, layout: layout, ignoringUnusedBits: false)
    }
  }

  /// What is wrong with the picture, nil where it is as expected.
  borrowing func look(_ examination: Examination) throws -> Mismatch? {
    try mapping.withSpan(of: UInt8.self) { bytes in
      try examination.look(at: bytes, layout: layout, ignoringUnusedBits: true)
    }
  }

  /// Turns the picture upside down.
  mutating func turnOver() throws {
    let (place, rowBytes, height) = (layout.planes[0], layout.rowBytes(ofPlane: 0), layout.height)
    try mapping.withMutableSpan(of: UInt8.self) { bytes in
      for y in 0..<height / 2 {
        let upper = place.offset + y * place.pitch
        let lower = place.offset + (height - 1 - y) * place.pitch
        for x in 0..<rowBytes { bytes.swapAt(upper + x, lower + x) }
      }
    }
  }

  /// The bytes that are none of the picture's: before it, between its rows and behind it.
  private var outside: [Range<Int>] {
    let (start, pitch, rowBytes) = (layout.planes[0].offset, layout.planes[0].pitch, layout.rowBytes(ofPlane: 0))
    let gaps = (0..<layout.height - 1).map { start + $0 * pitch + rowBytes..<start + ($0 + 1) * pitch }
    return [0..<start] + gaps + [layout.byteCount..<byteCount]
  }

  private static func guardByte(_ index: Int, _ salt: UInt64) -> UInt8 {
    UInt8(truncatingIfNeeded: (UInt64(index) &+ salt) &* 0x9e37_79b9_7f4a_7c15 >> 56)
  }
}
