extension Fourcc {
  /// The format without alpha, in the kernel's most common order, whose components lie at the same bits.
  ///
  /// Which component is called red does not matter to whether its bits arrive, and alpha would only blend the picture
  /// with the background. Alpha bits themselves are not carried. Nil where the bits lie otherwise.
  var opaqueAlias: Fourcc? {
    switch self {
    case .xrgb8888, .argb8888, .xbgr8888, .abgr8888: .xrgb8888
    case .rgb565, .bgr565: .rgb565
    case .xrgb16161616, .argb16161616, .xbgr16161616, .abgr16161616: .xrgb16161616
    default: nil
    }
  }
}
