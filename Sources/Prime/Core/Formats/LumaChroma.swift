/// Where luma and the two colour differences lie, in a format that has planes of them.
package struct LumaChroma: Hashable, Sendable {
  /// The samples of one component.
  package struct Samples: Hashable, Sendable {
    /// The memory plane that they lie in.
    package let plane: Int
    /// Where a sample begins in an element of that plane, in bytes.
    package let offset: Int
  }

  /// Luma, one sample a pixel.
  package let luma: Samples
  /// Cb, the difference of blue.
  package let blue: Samples
  /// Cr, the difference of red.
  package let red: Samples
  /// The size of a sample in bytes: 1, or 2 where the upper bits of a little-endian word carry it (P010).
  package let sampleBytes: Int
}

extension PixelFormat {
  /// Where luma and chroma lie (`drm_fourcc.h`); nil for colours, and for formats of one plane.
  package var lumaChroma: LumaChroma? {
    func chroma(_ blue: (plane: Int, offset: Int), _ red: (plane: Int, offset: Int), bytes: Int = 1) -> LumaChroma {
      LumaChroma(
        luma: .init(plane: 0, offset: 0), blue: .init(plane: blue.plane, offset: blue.offset),
        red: .init(plane: red.plane, offset: red.offset), sampleBytes: bytes)
    }
    switch fourcc {
    case .nv12, .nv16: return chroma((1, 0), (1, 1))
    case .nv21: return chroma((1, 1), (1, 0))
    case .p010: return chroma((1, 0), (1, 2), bytes: 2)
    case .yuv420: return chroma((1, 0), (2, 0))
    case .yvu420: return chroma((2, 0), (1, 0))
    default: return nil
    }
  }
}
