/// The formats of a plane and the modifiers of each, as its property `IN_FORMATS` lists them.
///
/// This is `struct drm_format_modifier_blob` of `drm_mode.h`, version 1. `IN_FORMATS_ASYNC` has the same form.
public struct InFormats: Sendable, Hashable, CustomStringConvertible {
  /// The formats, in the order of the blob.
  public let formats: [Fourcc]

  private let entries: [Entry]

  /// A modifier, and the formats that it goes with: bit n stands for the format at `offset + n` of the list.
  private struct Entry: Hashable {
    let mask: UInt64
    let offset: Int
    let modifier: Modifier

    /// Whether it goes with the format at an index of the list.
    func covers(_ index: Int) -> Bool {
      // Behind the mask's 64 formats the shift leaves nothing.
      index >= offset && mask >> UInt64(index - offset) & 1 == 1
    }
  }

  private static let headerSize = 24
  private static let formatSize = 4
  private static let entrySize = 24

  /// Reads the bytes of the blob.
  ///
  /// Whatever the counts and offsets in the bytes say, no more is kept than the bytes hold. Bits that stand for a format
  /// beyond the end of the list mean nothing.
  ///
  /// - Throws: `BlobError` where a list does not lie within the bytes, or the version is not 1.
  public init(parsing bytes: [UInt8]) throws(BlobError) {
    guard bytes.count >= Self.headerSize else {
      throw .tooShort(structure: "drm_format_modifier_blob", needed: Self.headerSize, found: bytes.count)
    }
    let version = bytes.number(at: 0, as: UInt32.self)
    guard version == 1 else {
      throw .version(structure: "drm_format_modifier_blob", expected: 1, found: version)
    }
    let formatCount = bytes.number(at: 8, as: UInt32.self)
    let formatOffset = bytes.number(at: 12, as: UInt32.self)
    let entryCount = bytes.number(at: 16, as: UInt32.self)
    let entryOffset = bytes.number(at: 20, as: UInt32.self)
    guard bytes.holds(count: formatCount, entrySize: Self.formatSize, at: formatOffset, behind: Self.headerSize) else {
      throw .outside(
        list: "the list of formats", offset: formatOffset, count: formatCount, entrySize: Self.formatSize,
        size: bytes.count)
    }
    guard bytes.holds(count: entryCount, entrySize: Self.entrySize, at: entryOffset, behind: Self.headerSize) else {
      throw .outside(
        list: "the list of modifiers", offset: entryOffset, count: entryCount, entrySize: Self.entrySize,
        size: bytes.count)
    }
    formats = (0..<Int(formatCount)).map { index in
      Fourcc(rawValue: bytes.number(at: Int(formatOffset) + index * Self.formatSize, as: UInt32.self))
    }
    entries = (0..<Int(entryCount)).map { index in
      let start = Int(entryOffset) + index * Self.entrySize
      return Entry(
        mask: bytes.number(at: start, as: UInt64.self),
        offset: Int(bytes.number(at: start + 8, as: UInt32.self)),
        modifier: Modifier(rawValue: bytes.number(at: start + 16, as: UInt64.self)))
    }
  }

  /// The modifiers that go with a format, each once, in the order of the blob; empty where the format is not listed.
  public func modifiers(of fourcc: Fourcc) -> [Modifier] {
    let indices = formats.indices.filter { formats[$0] == fourcc }
    guard !indices.isEmpty else { return [] }
    var seen: Set<Modifier> = []
    return entries.compactMap { entry in
      guard indices.contains(where: entry.covers), seen.insert(entry.modifier).inserted else { return nil }
      return entry.modifier
    }
  }

  /// Whether the plane takes a format with this modifier.
  public func contains(_ fourcc: Fourcc, _ modifier: Modifier) -> Bool {
    entries.contains { entry in
      // At most 64 formats for each entry, however long the list is.
      entry.modifier == modifier && covered(by: entry).contains { formats[$0] == fourcc }
    }
  }

  /// Every modifier with its formats: "linear for XRGB8888, ARGB8888".
  public var description: String {
    guard !formats.isEmpty else { return "no formats" }
    var remaining = Set(formats.indices)
    var parts: [String] = []
    for entry in entries {
      let covered = covered(by: entry)
      guard !covered.isEmpty else { continue }
      remaining.subtract(covered)
      parts.append("\(entry.modifier) for \(names(covered))")
    }
    if !remaining.isEmpty { parts.append("no modifier for \(names(remaining.sorted()))") }
    return parts.joined(separator: "; ")
  }

  /// The indices of the formats that an entry goes with.
  private func covered(by entry: Entry) -> [Int] {
    guard entry.offset < formats.count else { return [] }
    return (entry.offset..<min(formats.count, entry.offset + 64)).filter(entry.covers)
  }

  private func names(_ indices: [Int]) -> String {
    indices.map { formats[$0].name }.joined(separator: ", ")
  }
}

/// A property blob that is a bare list of formats, such as `WRITEBACK_PIXEL_FORMATS`.
public enum FormatList {
  /// Reads the bytes of the blob: one fourcc in every four bytes.
  ///
  /// - Throws: `BlobError` where the bytes are not a whole number of fourccs.
  public static func parse(_ bytes: [UInt8]) throws(BlobError) -> [Fourcc] {
    guard bytes.count.isMultiple(of: 4) else {
      throw .notWhole(list: "a list of formats", entrySize: 4, found: bytes.count)
    }
    return stride(from: 0, to: bytes.count, by: 4).map {
      Fourcc(rawValue: bytes.number(at: $0, as: UInt32.self))
    }
  }
}
