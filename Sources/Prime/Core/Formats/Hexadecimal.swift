extension UInt64 {
  /// Reads "0x" and 1 to 16 hexadecimal digits.
  package init?(hexadecimal text: String) {
    guard text.hasPrefix("0x") || text.hasPrefix("0X") else { return nil }
    let digits = text.dropFirst(2)
    // The standard parser takes a sign, which is not part of a code.
    guard digits.utf8.first.map({ $0 != 0x2b && $0 != 0x2d }) ?? false else { return nil }
    self.init(digits, radix: 16)
  }
}

/// The lower-case hexadecimal digits of a value, padded with zeros on the left.
package func hexadecimal(_ value: UInt64, digits: Int) -> String {
  let text = String(value, radix: 16)
  return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
}
