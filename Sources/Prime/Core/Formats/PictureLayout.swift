/// Where one memory plane of a picture lies.
public struct PlaneLayout: Sendable, Hashable, Codable {
  /// Which of the picture's buffers it lies in, from 0.
  public let buffer: Int

  /// Where the plane's first row begins, in bytes from the start of that buffer.
  public let offset: Int

  /// The distance from one row to the next, in bytes.
  public let pitch: Int

  /// Places a plane; `PictureLayout` checks whether it can be.
  public init(buffer: Int = 0, offset: Int, pitch: Int) {
    self.buffer = buffer
    self.offset = offset
    self.pitch = pitch
  }
}

/// A picture of a known format and size, and where each of its planes lies, in one buffer or in several.
///
/// Planes may interleave; whether they overlap is not checked, as the kernel does not check it either.
public struct PictureLayout: Sendable, Hashable {
  /// The format of the pixels.
  public let format: PixelFormat

  /// The width in pixels.
  public let width: Int

  /// The height in pixels.
  public let height: Int

  /// Where each plane lies, one for each plane of the format.
  public let planes: [PlaneLayout]

  /// The bytes that each of the picture's buffers needs; one number where all planes lie in one buffer.
  ///
  /// This is counted as the kernel counts in `drm_gem_fb_init_with_funcs`: the last row ends with its last pixel, not
  /// with its pitch.
  public let byteCounts: [Int]

  /// How many buffers the planes lie in.
  public var bufferCount: Int { byteCounts.count }

  /// The bytes that the picture's buffers need together.
  public let byteCount: Int

  /// Width and height in pixels.
  public var size: Size { Size(width: width, height: height) }

  /// Describes a picture, and checks that it can exist.
  ///
  /// - Throws: `LayoutError` for a size or a place that is not within 32 bits, for a pitch below a row's bytes, for another
  ///   number of planes than the format has, and for buffers that are not numbered from 0 on, each with a plane in it.
  public init(format: PixelFormat, size: Size, planes: [PlaneLayout]) throws(LayoutError) {
    try self.init(format: format, width: size.width, height: size.height, planes: planes)
  }

  /// As `init(format:size:planes:)`.
  package init(format: PixelFormat, width: Int, height: Int, planes: [PlaneLayout]) throws(LayoutError) {
    let possible = 1...Int(UInt32.max)
    guard possible.contains(width), possible.contains(height) else {
      throw .size(width: width, height: height)
    }
    guard planes.count == format.planes.count else {
      throw .planeCount(format: format.fourcc, needed: format.planes.count, given: planes.count)
    }
    for (index, plane) in planes.enumerated() where !planes.indices.contains(plane.buffer) {
      throw .buffer(plane: index, buffer: plane.buffer)
    }
    var byteCounts = [Int](repeating: 0, count: (planes.map(\.buffer).max() ?? 0) + 1)
    for (index, (plane, shape)) in zip(planes, format.planes).enumerated() {
      guard (0...Int(UInt32.max)).contains(plane.offset) else {
        throw .offset(plane: index, bytes: plane.offset)
      }
      guard possible.contains(plane.pitch) else {
        throw .pitch(plane: index, bytes: plane.pitch)
      }
      let rowBytes = shape.columns(ofWidth: width) * shape.bytesPerElement
      guard plane.pitch >= rowBytes else {
        throw .pitchBelowRow(plane: index, pitch: plane.pitch, rowBytes: rowBytes)
      }
      let (body, bodyOverflows) = plane.pitch.multipliedReportingOverflow(by: shape.rows(ofHeight: height) - 1)
      let (end, endOverflows) = body.addingReportingOverflow(plane.offset + rowBytes)
      guard !bodyOverflows, !endOverflows else { throw .tooLarge(width: width, height: height) }
      byteCounts[plane.buffer] = max(byteCounts[plane.buffer], end)
    }
    if let unused = byteCounts.firstIndex(of: 0) { throw .unusedBuffer(unused) }
    var byteCount = 0
    for bytes in byteCounts {
      let (sum, overflows) = byteCount.addingReportingOverflow(bytes)
      guard !overflows else { throw .tooLarge(width: width, height: height) }
      byteCount = sum
    }
    self.format = format
    self.width = width
    self.height = height
    self.planes = planes
    self.byteCounts = byteCounts
    self.byteCount = byteCount
  }

  /// Lays the planes one after the other, each pitch and offset a multiple of `pitchAlignment` bytes.
  ///
  /// - Throws: `LayoutError` for a size or an alignment that is not within 32 bits.
  public static func packed(
    format: PixelFormat, size: Size, pitchAlignment: Int = 1
  ) throws(LayoutError) -> PictureLayout {
    try packed(format: format, width: size.width, height: size.height, pitchAlignment: pitchAlignment)
  }

  /// As `packed(format:size:pitchAlignment:)`.
  package static func packed(
    format: PixelFormat, width: Int, height: Int, pitchAlignment: Int = 1
  ) throws(LayoutError) -> PictureLayout {
    guard (1...Int(UInt32.max)).contains(pitchAlignment) else { throw .alignment(pitchAlignment) }
    let possible = 1...Int(UInt32.max)
    guard possible.contains(width), possible.contains(height) else {
      throw .size(width: width, height: height)
    }
    var planes: [PlaneLayout] = []
    var offset = 0
    for shape in format.planes {
      let rowBytes = shape.columns(ofWidth: width) * shape.bytesPerElement
      let pitch = (rowBytes + pitchAlignment - 1) / pitchAlignment * pitchAlignment
      planes.append(PlaneLayout(offset: offset, pitch: pitch))
      let (body, bodyOverflows) = pitch.multipliedReportingOverflow(by: shape.rows(ofHeight: height))
      let (next, nextOverflows) = offset.addingReportingOverflow(body)
      guard !bodyOverflows, !nextOverflows else { throw .tooLarge(width: width, height: height) }
      offset = next
    }
    return try PictureLayout(format: format, width: width, height: height, planes: planes)
  }

  /// The same picture in one buffer, where its buffers follow each other; `sizes` are theirs, in bytes.
  package func joined(_ sizes: [Int]) throws(LayoutError) -> PictureLayout {
    var starts: [Int] = []
    var end = 0
    for size in sizes {
      starts.append(end)
      end += size
    }
    return try PictureLayout(
      format: format, size: size,
      planes: planes.map { PlaneLayout(offset: starts[$0.buffer] + $0.offset, pitch: $0.pitch) })
  }

  /// The number of elements in one row of a plane.
  public func columns(ofPlane plane: Int) -> Int {
    format.planes[plane].columns(ofWidth: width)
  }

  /// The number of rows of a plane.
  public func rows(ofPlane plane: Int) -> Int {
    format.planes[plane].rows(ofHeight: height)
  }

  /// The byte behind the last one of a plane, from the start of its buffer.
  public func end(ofPlane plane: Int) -> Int {
    planes[plane].offset + planes[plane].pitch * (rows(ofPlane: plane) - 1) + rowBytes(ofPlane: plane)
  }

  /// The bytes of one row of a plane, without what pads it to the pitch.
  public func rowBytes(ofPlane plane: Int) -> Int {
    columns(ofPlane: plane) * format.planes[plane].bytesPerElement
  }
}

extension PixelFormat.Plane {
  /// The elements in a row of a picture of this width; an odd rest of pixels has an element of its own.
  func columns(ofWidth width: Int) -> Int {
    (width + horizontalSubsampling - 1) / horizontalSubsampling
  }

  /// The rows of elements in a picture of this height; an odd rest of rows has a row of its own.
  func rows(ofHeight height: Int) -> Int {
    (height + verticalSubsampling - 1) / verticalSubsampling
  }
}
