import Testing

@testable import Prime

@Suite("Bytes")
struct BytesTests {
  static let bytes: [UInt8] = [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99]

  @Test("give the number whose least significant byte comes first, aligned or not")
  func reading() {
    #expect(Self.bytes.number(at: 0, as: UInt16.self) == 0x2211)
    #expect(Self.bytes.number(at: 1, as: UInt32.self) == 0x5544_3322)
    #expect(Self.bytes.number(at: 1, as: UInt64.self) == 0x9988_7766_5544_3322)
    #expect(Self.bytes.number(at: 8, as: UInt8.self) == 0x99)
  }

  @Test("get a number's least significant byte first")
  func writing() {
    var bytes: [UInt8] = [0xff]
    bytes.append(number: UInt16(0x0102))
    bytes.append(number: UInt64(0x0102_0304_0506_0708))
    #expect(bytes == [0xff, 2, 1, 8, 7, 6, 5, 4, 3, 2, 1])
  }
}
