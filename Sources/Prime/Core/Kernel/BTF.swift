/// The types of the running kernel as it describes them itself (`Documentation/bpf/btf.rst`).
///
/// What is cut off, or points out of itself, is nil and never read.
package struct BTF: Sendable {
  /// Where the kernel shows its own, to everybody, when it was built with `CONFIG_DEBUG_INFO_BTF`.
  package static let path = "/sys/kernel/btf/vmlinux"

  /// The kinds of types that are asked for or looked through.
  package enum Kind: UInt32, Sendable {
    case integer = 1
    case pointer = 2
    case structure = 4
    case union = 5
    case typeName = 8
    case volatile = 9
    case constant = 10
    case restrict = 11
    case function = 12
    case typeTag = 18

    /// Whether it is another type under a name or with a qualifier.
    fileprivate var isWrapper: Bool {
      [.typeName, .volatile, .constant, .restrict, .typeTag].contains(self)
    }
  }

  /// A part of a structure.
  package struct Member: Hashable, Sendable {
    /// From the beginning of the structure, in bytes.
    package var offset: Int
    /// The number of its type.
    package var type: UInt32
  }

  private let bytes: [UInt8]
  /// Where each type begins; that of number 1 is the first.
  private let positions: [Int]
  private let names: Range<Int>

  /// Reads all of `/sys/kernel/btf/vmlinux`; nil where it is no BTF, or of a kind that came later.
  package init?(_ bytes: [UInt8]) {
    // Magic, version, flags; then the header's length and the two sections, which are counted from behind it.
    guard bytes.count >= 24, bytes.number(at: 0, as: UInt16.self) == 0xeb9f, bytes[2] == 1 else { return nil }
    let numbers = (1...5).map { Int(bytes.number(at: 4 * $0, as: UInt32.self)) }
    let header = numbers[0]
    let types = header + numbers[1]..<header + numbers[1] + numbers[2]
    let names = header + numbers[3]..<header + numbers[3] + numbers[4]
    guard header >= 24, types.upperBound <= bytes.count, names.upperBound <= bytes.count else { return nil }
    var positions: [Int] = []
    var position = types.lowerBound
    while position < types.upperBound {
      guard position + Self.commonByteCount <= types.upperBound,
        let size = Self.byteCount(info: bytes.number(at: position + 4, as: UInt32.self)),
        position + size <= types.upperBound
      else { return nil }
      positions.append(position)
      position += size
    }
    (self.bytes, self.positions, self.names) = (bytes, positions, names)
  }

  /// The number of the first type of a kind with a name.
  package func type(_ kind: Kind, named name: String) -> UInt32? {
    let name = Array(name.utf8)
    let index = positions.firstIndex { position in
      Self.kind(bytes.number(at: position + 4, as: UInt32.self)) == kind.rawValue && hasName(name, at: position)
    }
    return index.map { UInt32($0 + 1) }
  }

  /// A member of a structure or a union, also one of the unnamed structures and unions in it.
  ///
  /// Nil where there is none of that name, or it does not begin at a byte.
  package func member(_ name: String, of type: UInt32) -> Member? {
    let name = Array(name.utf8)
    var inside = [Member(offset: 0, type: type)]
    var looked = 0
    // One that contains itself would have no end.
    while let outer = inside.popLast(), looked < Self.mostMembers {
      guard let (position, info) = unwrapped(outer.type), Self.holdsMembers(info) else { continue }
      for index in 0..<Self.count(info) {
        looked += 1
        let member = position + Self.commonByteCount + index * Self.memberByteCount
        // In bits; with the flag the highest eight say how many a bit field has.
        let (offset, isFlagged) = (bytes.number(at: member + 8, as: UInt32.self), info >> 31 == 1)
        let bits = Int(isFlagged ? offset & 0xff_ffff : offset)
        let isBitField = isFlagged && offset >> 24 != 0
        guard bits.isMultiple(of: 8), !isBitField else { continue }
        let found = Member(offset: outer.offset + bits / 8, type: bytes.number(at: member + 4, as: UInt32.self))
        if hasName(name, at: member) { return found }
        if hasName([], at: member) { inside.append(found) }
      }
    }
    return nil
  }

  /// The type that a pointer leads to; nil for another type.
  package func pointee(of type: UInt32) -> UInt32? {
    guard let (position, info) = unwrapped(type), Self.kind(info) == Kind.pointer.rawValue else { return nil }
    return bytes.number(at: position + 8, as: UInt32.self)
  }

  /// The size of an integer in bytes; nil for another type.
  package func integerByteCount(of type: UInt32) -> Int? {
    guard let (position, info) = unwrapped(type), Self.kind(info) == Kind.integer.rawValue else { return nil }
    return Int(bytes.number(at: position + 8, as: UInt32.self))
  }

  /// Where a type begins that is neither a name of another nor a qualifier, and what it is.
  private func unwrapped(_ type: UInt32) -> (position: Int, info: UInt32)? {
    var type = type
    for _ in 0..<Self.mostWrappers {
      guard type > 0, type <= positions.count else { return nil }
      let position = positions[Int(type) - 1]
      let info = bytes.number(at: position + 4, as: UInt32.self)
      guard Kind(rawValue: Self.kind(info))?.isWrapper == true else { return (position, info) }
      type = bytes.number(at: position + 8, as: UInt32.self)
    }
    return nil
  }

  /// Whether the number at a position is that of this text.
  private func hasName(_ name: [UInt8], at position: Int) -> Bool {
    let start = names.lowerBound + Int(bytes.number(at: position, as: UInt32.self))
    guard start + name.count < names.upperBound, bytes[start + name.count] == 0 else { return false }
    return bytes[start..<start + name.count].elementsEqual(name)
  }
}

// MARK: - The format

extension BTF {
  /// More members than a structure of the kernel has, and more wrappers than anybody puts around a type.
  private static let (mostMembers, mostWrappers) = (1 << 17, 32)
  /// `struct btf_type`: name, info, and a size or another type.
  private static let commonByteCount = 12
  /// `struct btf_member`: name, type, offset.
  private static let memberByteCount = 12

  /// How many bytes a type has; nil for a kind that came later.
  private static func byteCount(info: UInt32) -> Int? {
    let count = count(info)
    switch kind(info) {
    // Pointers, declarations, wrappers, functions, floating-point numbers.
    case 2, 7, 8, 9, 10, 11, 12, 16, 18: return commonByteCount
    // Integers, variables, tags of declarations.
    case 1, 14, 17: return commonByteCount + 4
    // Arrays.
    case 3: return commonByteCount + 12
    // Structures, unions, sections, enumerations of 64 bits.
    case 4, 5, 15, 19: return commonByteCount + 12 * count
    // Enumerations, prototypes.
    case 6, 13: return commonByteCount + 8 * count
    default: return nil
    }
  }

  /// Bits that the first kernels left at zero count as well.
  private static func kind(_ info: UInt32) -> UInt32 { info >> 24 & 0x7f }
  private static func count(_ info: UInt32) -> Int { Int(info & 0xff_ffff) }

  private static func holdsMembers(_ info: UInt32) -> Bool {
    kind(info) == Kind.structure.rawValue || kind(info) == Kind.union.rawValue
  }
}
