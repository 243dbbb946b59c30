/// A pixel format code of V4L2 (`linux/videodev2.h`, `V4L2_PIX_FMT_*`).
///
/// V4L2 and DRM often give one format two codes, or one code to two formats, so that the two are types of their own.
/// V4L2 names components in the order of bytes in memory, DRM in the order of bits of a little-endian number:
/// `V4L2_PIX_FMT_XBGR32` is blue, green, red, X in memory, which is `DRM_FORMAT_XRGB8888`, and both are `XR24`.
public struct VideoFourcc: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The code as the kernel passes it.
  public let rawValue: UInt32

  /// Keeps any code, known or not.
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// Packs the four characters of a code written in this module (`v4l2_fourcc`).
  init(_ code: StaticString) {
    rawValue = Array(code.description.utf8).enumerated().reduce(0) { $0 | UInt32($1.element) << (8 * $1.offset) }
  }

  /// The four characters as `v4l2-ctl` prints them (`XR24`, `Y16 -BE`), else the number in hexadecimal.
  public var description: String {
    let bytes = (0..<4).map { UInt8(truncatingIfNeeded: (rawValue & ~Self.bigEndianBit) >> (8 * $0)) }
    guard bytes.allSatisfy({ (0x20...0x7e).contains($0) }) else {
      return "0x" + hexadecimal(UInt64(rawValue), digits: 8)
    }
    return String(decoding: bytes, as: UTF8.self) + (rawValue & Self.bigEndianBit != 0 ? "-BE" : "")
  }

  /// The bit of `v4l2_fourcc_be`: components are stored with the most significant byte first.
  static let bigEndianBit: UInt32 = 1 << 31

  /// The DRM format with the same bytes in memory; nil where this module knows none.
  public var drm: Fourcc? { Self.formats.first { $0.video == self }?.drm }

  /// How many buffers a picture of this format lies in, its memory planes: 1 but for the formats whose name ends with M.
  public var memoryPlaneCount: Int { Self.formats.first { $0.video == self }?.memoryPlanes ?? 1 }

  /// The V4L2 formats with the bytes of a DRM format, those with one buffer for all of the picture first.
  public static func codes(of format: Fourcc) -> [VideoFourcc] {
    formats.filter { $0.drm == format }.sorted { $0.memoryPlanes < $1.memoryPlanes }.map(\.video)
  }
}

extension VideoFourcc {
  /// `V4L2_PIX_FMT_XBGR32`: blue, green, red, X in memory.
  public static let xbgr32 = VideoFourcc("XR24")
  /// `V4L2_PIX_FMT_RGB565`: a little-endian number with red in its upper five bits.
  public static let rgb565 = VideoFourcc("RGBP")
  /// `V4L2_PIX_FMT_NV12`: luma, and below it Cb and Cr in turn, in one buffer.
  public static let nv12 = VideoFourcc("NV12")

  /// A format under both its names.
  struct Pair: Sendable {
    let video: VideoFourcc
    let drm: Fourcc
    var memoryPlanes = 1
  }

  /// What `videodev2.h` and `drm_fourcc.h` say of the bytes in memory, first byte first.
  ///
  /// `RGB32` and `BGR32` (`RGB4`, `BGR4`) are left out: `videodev2.h` calls them deprecated, as drivers do not agree on
  /// where their unused byte is.
  static let formats: [Pair] = [
    // Blue, green, red, X or alpha.
    Pair(video: .xbgr32, drm: .xrgb8888), Pair(video: VideoFourcc("AR24"), drm: .argb8888),
    // Red, green, blue, X or alpha: RGBX32, RGBA32.
    Pair(video: VideoFourcc("XB24"), drm: .xbgr8888), Pair(video: VideoFourcc("AB24"), drm: .abgr8888),
    // X or alpha, blue, green, red: BGRX32, BGRA32.
    Pair(video: VideoFourcc("RX24"), drm: .rgbx8888), Pair(video: VideoFourcc("RA24"), drm: .rgba8888),
    // X or alpha, red, green, blue: XRGB32, ARGB32.
    Pair(video: VideoFourcc("BX24"), drm: .bgrx8888), Pair(video: VideoFourcc("BA24"), drm: .bgra8888),
    // Red, green, blue, and blue, green, red.
    Pair(video: VideoFourcc("RGB3"), drm: .bgr888), Pair(video: VideoFourcc("BGR3"), drm: .rgb888),
    // Little-endian numbers of sixteen bits, red above blue: RGB565, XRGB555, ARGB555, XRGB444, ARGB444.
    Pair(video: .rgb565, drm: .rgb565),
    Pair(video: VideoFourcc("XR15"), drm: .xrgb1555), Pair(video: VideoFourcc("AR15"), drm: .argb1555),
    Pair(video: VideoFourcc("XR12"), drm: .xrgb4444), Pair(video: VideoFourcc("AR12"), drm: .argb4444),
    // One channel: GREY, Y16.
    Pair(video: VideoFourcc("GREY"), drm: .r8), Pair(video: VideoFourcc("Y16 "), drm: .r16),
    // Luma and chroma in one plane.
    Pair(video: VideoFourcc("YUYV"), drm: .yuyv), Pair(video: VideoFourcc("UYVY"), drm: .uyvy),
    // Luma, then chroma in pairs; NV12M and its like have a buffer for each.
    Pair(video: .nv12, drm: .nv12), Pair(video: VideoFourcc("NM12"), drm: .nv12, memoryPlanes: 2),
    Pair(video: VideoFourcc("NV21"), drm: .nv21), Pair(video: VideoFourcc("NM21"), drm: .nv21, memoryPlanes: 2),
    Pair(video: VideoFourcc("NV16"), drm: .nv16), Pair(video: VideoFourcc("NM16"), drm: .nv16, memoryPlanes: 2),
    Pair(video: VideoFourcc("P010"), drm: .p010),
    // Luma, Cb, Cr, and luma, Cr, Cb.
    Pair(video: VideoFourcc("YU12"), drm: .yuv420), Pair(video: VideoFourcc("YM12"), drm: .yuv420, memoryPlanes: 3),
    Pair(video: VideoFourcc("YV12"), drm: .yvu420), Pair(video: VideoFourcc("YM21"), drm: .yvu420, memoryPlanes: 3),
  ]
}
