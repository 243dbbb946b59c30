extension Fourcc {
  /// `DRM_FORMAT_XRGB8888`.
  public static let xrgb8888 = Fourcc("XR24")

  /// `DRM_FORMAT_ARGB8888`.
  public static let argb8888 = Fourcc("AR24")

  /// `DRM_FORMAT_XBGR8888`.
  public static let xbgr8888 = Fourcc("XB24")

  /// `DRM_FORMAT_ABGR8888`.
  public static let abgr8888 = Fourcc("AB24")

  /// `DRM_FORMAT_RGBX8888`.
  public static let rgbx8888 = Fourcc("RX24")

  /// `DRM_FORMAT_RGBA8888`.
  public static let rgba8888 = Fourcc("RA24")

  /// `DRM_FORMAT_BGRX8888`.
  public static let bgrx8888 = Fourcc("BX24")

  /// `DRM_FORMAT_BGRA8888`.
  public static let bgra8888 = Fourcc("BA24")

  /// `DRM_FORMAT_RGB565`.
  public static let rgb565 = Fourcc("RG16")

  /// `DRM_FORMAT_BGR565`.
  public static let bgr565 = Fourcc("BG16")

  /// `DRM_FORMAT_XRGB2101010`.
  public static let xrgb2101010 = Fourcc("XR30")

  /// `DRM_FORMAT_ARGB2101010`.
  public static let argb2101010 = Fourcc("AR30")

  /// `DRM_FORMAT_XBGR2101010`.
  public static let xbgr2101010 = Fourcc("XB30")

  /// `DRM_FORMAT_ABGR2101010`.
  public static let abgr2101010 = Fourcc("AB30")

  /// `DRM_FORMAT_RGB888`.
  public static let rgb888 = Fourcc("RG24")

  /// `DRM_FORMAT_BGR888`.
  public static let bgr888 = Fourcc("BG24")

  /// `DRM_FORMAT_XRGB1555`.
  public static let xrgb1555 = Fourcc("XR15")

  /// `DRM_FORMAT_ARGB1555`.
  public static let argb1555 = Fourcc("AR15")

  /// `DRM_FORMAT_XRGB4444`.
  public static let xrgb4444 = Fourcc("XR12")

  /// `DRM_FORMAT_ARGB4444`.
  public static let argb4444 = Fourcc("AR12")

  /// `DRM_FORMAT_R8`.
  public static let r8 = Fourcc("R8")

  /// `DRM_FORMAT_GR88`.
  public static let gr88 = Fourcc("GR88")

  /// `DRM_FORMAT_R16`.
  public static let r16 = Fourcc("R16")

  /// `DRM_FORMAT_XRGB16161616`.
  public static let xrgb16161616 = Fourcc("XR48")

  /// `DRM_FORMAT_ARGB16161616`.
  public static let argb16161616 = Fourcc("AR48")

  /// `DRM_FORMAT_XBGR16161616`.
  public static let xbgr16161616 = Fourcc("XB48")

  /// `DRM_FORMAT_ABGR16161616`.
  public static let abgr16161616 = Fourcc("AB48")

  /// `DRM_FORMAT_XBGR16161616F`.
  public static let xbgr16161616f = Fourcc("XB4H")

  /// `DRM_FORMAT_ABGR16161616F`.
  public static let abgr16161616f = Fourcc("AB4H")

  /// `DRM_FORMAT_NV12`.
  public static let nv12 = Fourcc("NV12")

  /// `DRM_FORMAT_NV21`.
  public static let nv21 = Fourcc("NV21")

  /// `DRM_FORMAT_NV16`.
  public static let nv16 = Fourcc("NV16")

  /// `DRM_FORMAT_P010`.
  public static let p010 = Fourcc("P010")

  /// `DRM_FORMAT_YUV420`.
  public static let yuv420 = Fourcc("YU12")

  /// `DRM_FORMAT_YVU420`.
  public static let yvu420 = Fourcc("YV12")

  /// `DRM_FORMAT_YUYV`.
  public static let yuyv = Fourcc("YUYV")

  /// `DRM_FORMAT_UYVY`.
  public static let uyvy = Fourcc("UYVY")

  /// The codes this module names, in the order of its format table.
  static let named: [(name: String, code: Fourcc)] = [
    ("XRGB8888", .xrgb8888),
    ("ARGB8888", .argb8888),
    ("XBGR8888", .xbgr8888),
    ("ABGR8888", .abgr8888),
    ("RGBX8888", .rgbx8888),
    ("RGBA8888", .rgba8888),
    ("BGRX8888", .bgrx8888),
    ("BGRA8888", .bgra8888),
    ("RGB565", .rgb565),
    ("BGR565", .bgr565),
    ("XRGB2101010", .xrgb2101010),
    ("ARGB2101010", .argb2101010),
    ("XBGR2101010", .xbgr2101010),
    ("ABGR2101010", .abgr2101010),
    ("RGB888", .rgb888),
    ("BGR888", .bgr888),
    ("XRGB1555", .xrgb1555),
    ("ARGB1555", .argb1555),
    ("XRGB4444", .xrgb4444),
    ("ARGB4444", .argb4444),
    ("R8", .r8),
    ("GR88", .gr88),
    ("R16", .r16),
    ("XRGB16161616", .xrgb16161616),
    ("ARGB16161616", .argb16161616),
    ("XBGR16161616", .xbgr16161616),
    ("ABGR16161616", .abgr16161616),
    ("XBGR16161616F", .xbgr16161616f),
    ("ABGR16161616F", .abgr16161616f),
    ("NV12", .nv12),
    ("NV21", .nv21),
    ("NV16", .nv16),
    ("P010", .p010),
    ("YUV420", .yuv420),
    ("YVU420", .yvu420),
    ("YUYV", .yuyv),
    ("UYVY", .uyvy),
  ]

  static let codesByName = Dictionary(uniqueKeysWithValues: named.map { ($0.name, $0.code) })
  static let namesByCode = Dictionary(uniqueKeysWithValues: named.map { ($0.code, $0.name) })
}
