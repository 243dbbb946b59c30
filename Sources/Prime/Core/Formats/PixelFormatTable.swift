extension PixelFormat {
  /// Every format this module describes.
  public static let known: [PixelFormat] =
    eightBitColour + smallColour + deepColour + singleChannels + lumaChroma

  private static let eightBitColour = [
    packed(.xrgb8888, 4, unused: 0xff00_0000, red: 16, blue: 0, bits: 8),
    packed(.argb8888, 4, red: 16, blue: 0, bits: 8),
    packed(.xbgr8888, 4, unused: 0xff00_0000, red: 0, blue: 16, bits: 8),
    packed(.abgr8888, 4, red: 0, blue: 16, bits: 8),
    packed(.rgbx8888, 4, unused: 0xff, red: 24, blue: 8, bits: 8),
    packed(.rgba8888, 4, red: 24, blue: 8, bits: 8),
    packed(.bgrx8888, 4, unused: 0xff, red: 8, blue: 24, bits: 8),
    packed(.bgra8888, 4, red: 8, blue: 24, bits: 8),
    packed(.rgb888, 3, red: 16, blue: 0, bits: 8),
    packed(.bgr888, 3, red: 0, blue: 16, bits: 8),
  ]

  private static let smallColour = [
    packed(.rgb565, 2, red: 11, blue: 0, bits: 5),
    packed(.bgr565, 2, red: 0, blue: 11, bits: 5),
    packed(.xrgb1555, 2, unused: 0x8000, red: 10, blue: 0, bits: 5),
    packed(.argb1555, 2, red: 10, blue: 0, bits: 5),
    packed(.xrgb4444, 2, unused: 0xf000, red: 8, blue: 0, bits: 4),
    packed(.argb4444, 2, red: 8, blue: 0, bits: 4),
  ]

  private static let deepColour = [
    packed(.xrgb2101010, 4, unused: 0xc000_0000, red: 20, blue: 0, bits: 10),
    packed(.argb2101010, 4, red: 20, blue: 0, bits: 10),
    packed(.xbgr2101010, 4, unused: 0xc000_0000, red: 0, blue: 20, bits: 10),
    packed(.abgr2101010, 4, red: 0, blue: 20, bits: 10),
    packed(.xrgb16161616, 8, unused: 0xffff_0000_0000_0000, red: 32, blue: 0, bits: 16),
    packed(.argb16161616, 8, red: 32, blue: 0, bits: 16),
    packed(.xbgr16161616, 8, unused: 0xffff_0000_0000_0000, red: 0, blue: 32, bits: 16),
    packed(.abgr16161616, 8, red: 0, blue: 32, bits: 16),
    packed(.xbgr16161616f, 8, unused: 0xffff_0000_0000_0000, red: 0, blue: 32, bits: 16),
    packed(.abgr16161616f, 8, red: 0, blue: 32, bits: 16),
  ]

  private static let singleChannels = [
    PixelFormat(.r8, [Plane(bytes: 1)]),
    PixelFormat(.gr88, [Plane(bytes: 2)]),
    PixelFormat(.r16, [Plane(bytes: 2)]),
  ]

  private static let lumaChroma = [
    PixelFormat(.nv12, [Plane(bytes: 1), Plane(bytes: 2, horizontal: 2, vertical: 2, pair: chroma(0, 8, bits: 8))]),
    PixelFormat(.nv21, [Plane(bytes: 1), Plane(bytes: 2, horizontal: 2, vertical: 2, pair: chroma(0, 8, bits: 8))]),
    PixelFormat(.nv16, [Plane(bytes: 1), Plane(bytes: 2, horizontal: 2, pair: chroma(0, 8, bits: 8))]),
    // The ten bits of a sample are the upper ones of its sixteen.
    PixelFormat(
      .p010,
      [
        Plane(bytes: 2, unused: 0x3f),
        Plane(bytes: 4, horizontal: 2, vertical: 2, unused: 0x3f_003f, pair: chroma(0, 16, bits: 16)),
      ]),
    PixelFormat(.yuv420, [Plane(bytes: 1)] + Array(repeating: Plane(bytes: 1, horizontal: 2, vertical: 2), count: 2)),
    PixelFormat(.yvu420, [Plane(bytes: 1)] + Array(repeating: Plane(bytes: 1, horizontal: 2, vertical: 2), count: 2)),
    PixelFormat(.yuyv, [Plane(bytes: 4, horizontal: 2, pair: chroma(8, 24, bits: 8))]),
    PixelFormat(.uyvy, [Plane(bytes: 4, horizontal: 2, pair: chroma(0, 16, bits: 8))]),
  ]

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
