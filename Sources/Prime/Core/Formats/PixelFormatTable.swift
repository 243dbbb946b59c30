extension PixelFormat {
  /// Every format this module describes.
  public static let known: [PixelFormat] =
    eightBitColour + smallColour + deepColour + singleChannels + lumaChroma

  private static let eightBitColour: [PixelFormat] = [
    .xrgb8888, .argb8888, .xbgr8888, .abgr8888, .rgbx8888, .rgba8888, .bgrx8888, .bgra8888, .rgb888, .bgr888,
  ]

  private static let smallColour: [PixelFormat] = [
    .rgb565, .bgr565, .xrgb1555, .argb1555, .xrgb4444, .argb4444,
  ]

  private static let deepColour: [PixelFormat] = [
    .xrgb2101010, .argb2101010, .xbgr2101010, .abgr2101010, .xrgb16161616, .argb16161616, .xbgr16161616, .abgr16161616,
    .xbgr16161616f, .abgr16161616f,
  ]

  private static let singleChannels: [PixelFormat] = [
    .r8, .gr88, .r16,
  ]

  private static let lumaChroma: [PixelFormat] = [
    .nv12, .nv21, .nv16, .p010, .yuv420, .yvu420, .yuyv, .uyvy,
  ]
}

extension PixelFormat {
  /// `DRM_FORMAT_XRGB8888`.
  public static let xrgb8888 = packed(.xrgb8888, 4, unused: 0xff00_0000, red: 16, blue: 0, bits: 8)

  /// `DRM_FORMAT_ARGB8888`.
  public static let argb8888 = packed(.argb8888, 4, red: 16, blue: 0, bits: 8)

  /// `DRM_FORMAT_XBGR8888`.
  public static let xbgr8888 = packed(.xbgr8888, 4, unused: 0xff00_0000, red: 0, blue: 16, bits: 8)

  /// `DRM_FORMAT_ABGR8888`.
  public static let abgr8888 = packed(.abgr8888, 4, red: 0, blue: 16, bits: 8)

  /// `DRM_FORMAT_RGBX8888`.
  public static let rgbx8888 = packed(.rgbx8888, 4, unused: 0xff, red: 24, blue: 8, bits: 8)

  /// `DRM_FORMAT_RGBA8888`.
  public static let rgba8888 = packed(.rgba8888, 4, red: 24, blue: 8, bits: 8)

  /// `DRM_FORMAT_BGRX8888`.
  public static let bgrx8888 = packed(.bgrx8888, 4, unused: 0xff, red: 8, blue: 24, bits: 8)

  /// `DRM_FORMAT_BGRA8888`.
  public static let bgra8888 = packed(.bgra8888, 4, red: 8, blue: 24, bits: 8)

  /// `DRM_FORMAT_RGB888`.
  public static let rgb888 = packed(.rgb888, 3, red: 16, blue: 0, bits: 8)

  /// `DRM_FORMAT_BGR888`.
  public static let bgr888 = packed(.bgr888, 3, red: 0, blue: 16, bits: 8)

  /// `DRM_FORMAT_RGB565`.
  public static let rgb565 = packed(.rgb565, 2, red: 11, blue: 0, bits: 5)

  /// `DRM_FORMAT_BGR565`.
  public static let bgr565 = packed(.bgr565, 2, red: 0, blue: 11, bits: 5)

  /// `DRM_FORMAT_XRGB1555`.
  public static let xrgb1555 = packed(.xrgb1555, 2, unused: 0x8000, red: 10, blue: 0, bits: 5)

  /// `DRM_FORMAT_ARGB1555`.
  public static let argb1555 = packed(.argb1555, 2, red: 10, blue: 0, bits: 5)

  /// `DRM_FORMAT_XRGB4444`.
  public static let xrgb4444 = packed(.xrgb4444, 2, unused: 0xf000, red: 8, blue: 0, bits: 4)

  /// `DRM_FORMAT_ARGB4444`.
  public static let argb4444 = packed(.argb4444, 2, red: 8, blue: 0, bits: 4)

  /// `DRM_FORMAT_XRGB2101010`.
  public static let xrgb2101010 = packed(.xrgb2101010, 4, unused: 0xc000_0000, red: 20, blue: 0, bits: 10)

  /// `DRM_FORMAT_ARGB2101010`.
  public static let argb2101010 = packed(.argb2101010, 4, red: 20, blue: 0, bits: 10)

  /// `DRM_FORMAT_XBGR2101010`.
  public static let xbgr2101010 = packed(.xbgr2101010, 4, unused: 0xc000_0000, red: 0, blue: 20, bits: 10)

  /// `DRM_FORMAT_ABGR2101010`.
  public static let abgr2101010 = packed(.abgr2101010, 4, red: 0, blue: 20, bits: 10)

  /// `DRM_FORMAT_XRGB16161616`.
  public static let xrgb16161616 = packed(.xrgb16161616, 8, unused: 0xffff_0000_0000_0000, red: 32, blue: 0, bits: 16)

  /// `DRM_FORMAT_ARGB16161616`.
  public static let argb16161616 = packed(.argb16161616, 8, red: 32, blue: 0, bits: 16)

  /// `DRM_FORMAT_XBGR16161616`.
  public static let xbgr16161616 = packed(.xbgr16161616, 8, unused: 0xffff_0000_0000_0000, red: 0, blue: 32, bits: 16)

  /// `DRM_FORMAT_ABGR16161616`.
  public static let abgr16161616 = packed(.abgr16161616, 8, red: 0, blue: 32, bits: 16)

  /// `DRM_FORMAT_XBGR16161616F`.
  public static let xbgr16161616f = packed(.xbgr16161616f, 8, unused: 0xffff_0000_0000_0000, red: 0, blue: 32, bits: 16)

  /// `DRM_FORMAT_ABGR16161616F`.
  public static let abgr16161616f = packed(.abgr16161616f, 8, red: 0, blue: 32, bits: 16)

  /// `DRM_FORMAT_R8`.
  public static let r8 = PixelFormat(.r8, [Plane(bytes: 1)])

  /// `DRM_FORMAT_GR88`.
  public static let gr88 = PixelFormat(.gr88, [Plane(bytes: 2)])

  /// `DRM_FORMAT_R16`.
  public static let r16 = PixelFormat(.r16, [Plane(bytes: 2)])

  /// `DRM_FORMAT_NV12`.
  public static let nv12 = PixelFormat(
    .nv12, [Plane(bytes: 1), Plane(bytes: 2, horizontal: 2, vertical: 2, pair: chroma(0, 8, bits: 8))])

  /// `DRM_FORMAT_NV21`.
  public static let nv21 = PixelFormat(
    .nv21, [Plane(bytes: 1), Plane(bytes: 2, horizontal: 2, vertical: 2, pair: chroma(0, 8, bits: 8))])

  /// `DRM_FORMAT_NV16`.
  public static let nv16 = PixelFormat(
    .nv16, [Plane(bytes: 1), Plane(bytes: 2, horizontal: 2, pair: chroma(0, 8, bits: 8))])

  /// `DRM_FORMAT_P010`.
  ///
  /// The ten bits of a sample are the upper ones of its sixteen.
  public static let p010 = PixelFormat(
    .p010,
    [
      Plane(bytes: 2, unused: 0x3f),
      Plane(bytes: 4, horizontal: 2, vertical: 2, unused: 0x3f_003f, pair: chroma(0, 16, bits: 16)),
    ])

  /// `DRM_FORMAT_YUV420`.
  public static let yuv420 = PixelFormat(
    .yuv420, [Plane(bytes: 1)] + Array(repeating: Plane(bytes: 1, horizontal: 2, vertical: 2), count: 2))

  /// `DRM_FORMAT_YVU420`.
  public static let yvu420 = PixelFormat(
    .yvu420, [Plane(bytes: 1)] + Array(repeating: Plane(bytes: 1, horizontal: 2, vertical: 2), count: 2))

  /// `DRM_FORMAT_YUYV`.
  public static let yuyv = PixelFormat(.yuyv, [Plane(bytes: 4, horizontal: 2, pair: chroma(8, 24, bits: 8))])

  /// `DRM_FORMAT_UYVY`.
  public static let uyvy = PixelFormat(.uyvy, [Plane(bytes: 4, horizontal: 2, pair: chroma(0, 16, bits: 8))])

  private static func packed(
    _ fourcc: Fourcc, _ bytes: Int, unused: UInt64 = 0, red: UInt64, blue: UInt64, bits: UInt64
  ) -> PixelFormat {
    let pair = ComponentPair(kind: .redBlue, first: red, second: blue, bits: bits)
    return PixelFormat(fourcc, [Plane(bytes: bytes, unused: unused, pair: pair)])
  }

  private static func chroma(_ first: UInt64, _ second: UInt64, bits: UInt64) -> ComponentPair {
    ComponentPair(kind: .chroma, first: first, second: second, bits: bits)
  }
}
