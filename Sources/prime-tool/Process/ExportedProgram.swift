import Prime

/// What a program is told of the dma-buf that it inherits.
enum ExportedProgram {
  /// What describes the dma-buf to the program; the names are documented in `docs/handover.md`.
  static func variables(
    dmaBuf: CInt, _ description: BufferDescription, byteCount: Int, seed: UInt64
  ) -> [String: String] {
    let modifier = String(description.modifier.rawValue, radix: 16)
    let characters = (0..<4).map { UInt8(truncatingIfNeeded: description.fourcc.rawValue >> (8 * $0)) }
    var variables = [
      "PRIME_FD": "\(dmaBuf)", "PRIME_FOURCC": String(decoding: characters, as: UTF8.self),
      "PRIME_WIDTH": "\(description.width)", "PRIME_HEIGHT": "\(description.height)",
      "PRIME_MODIFIER": "0x" + String(repeating: "0", count: 16 - modifier.count) + modifier,
      "PRIME_SIZE": "\(byteCount)", "PRIME_SEED": "\(seed)", "PRIME_PLANES": "\(description.layout.planes.count)",
    ]
    for (index, plane) in description.layout.planes.enumerated() {
      let suffix = index == 0 ? "" : "_\(index)"
      variables["PRIME_PITCH\(suffix)"] = "\(plane.pitch)"
      variables["PRIME_OFFSET\(suffix)"] = "\(plane.offset)"
    }
    return variables
  }
}
