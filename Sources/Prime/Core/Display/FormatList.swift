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
