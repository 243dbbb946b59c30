/// What a display's properties do to pixels on their way from a framebuffer to the screen.
///
/// A client that goes leaves its properties behind, and the next master finds them: the kernel resets none but for its own
/// console. So each mode that this library sets is set with the values below, and what was there comes back at the end.
enum PictureProperties {
  /// A property by name and the value with which it leaves pixels as they are.
  struct Rule: Sendable {
    var kind: KMSObjectKind
    var name: String
    var neutral: UInt64

    fileprivate init(_ kind: KMSObjectKind, _ name: String, _ neutral: UInt64) {
      self.kind = kind
      self.name = name
      self.neutral = neutral
    }
  }

  /// Names and values as Linux 6.12 creates them; where a driver has not got one, nothing is set.
  static let rules: [Rule] = [
    // drm_blend.c: DRM_MODE_ROTATE_0 alone, no reflection.
    Rule(.plane, "rotation", 1 << 0),
    // drm_blend.c: DRM_BLEND_ALPHA_OPAQUE.
    Rule(.plane, "alpha", 0xffff),
    // drm_blend.c: DRM_MODE_BLEND_PREMULTI, which is also what a plane without the property does.
    Rule(.plane, "pixel blend mode", 0),
    // drm_plane.c: DRM_SCALING_FILTER_DEFAULT, for planes and for CRTCs.
    Rule(.plane, "SCALING_FILTER", 0),
    Rule(.crtc, "SCALING_FILTER", 0),
    // drm_color_mgmt.c: DRM_COLOR_YCBCR_BT601 and DRM_COLOR_YCBCR_LIMITED_RANGE, by which luma and chroma become colours.
    Rule(.plane, "COLOR_ENCODING", 0),
    Rule(.plane, "COLOR_RANGE", 0),
    // drm_plane.c: the hot spot of a pointer that the host draws; only planes of virtual devices have one.
    Rule(.plane, "HOTSPOT_X", 0),
    Rule(.plane, "HOTSPOT_Y", 0),
    // drm_colorop.c of Linux 6.19: no pipeline, "Bypass".
    Rule(.plane, "COLOR_PIPELINE", 0),
    // amdgpu_dm_color.c: no table, and DRM_TRANSFER_FUNCTION_DEFAULT; a factor is in fixed point with 32 bits of fraction.
    Rule(.plane, "AMD_PLANE_DEGAMMA_LUT", 0),
    Rule(.plane, "AMD_PLANE_DEGAMMA_TF", 0),
    Rule(.plane, "AMD_PLANE_HDR_MULT", 1 << 32),
    Rule(.plane, "AMD_PLANE_CTM", 0),
    Rule(.plane, "AMD_PLANE_SHAPER_LUT", 0),
    Rule(.plane, "AMD_PLANE_SHAPER_TF", 0),
    Rule(.plane, "AMD_PLANE_LUT3D", 0),
    Rule(.plane, "AMD_PLANE_BLEND_LUT", 0),
    Rule(.plane, "AMD_PLANE_BLEND_TF", 0),
    Rule(.crtc, "AMD_CRTC_REGAMMA_TF", 0),
    // drm_color_mgmt.c: no table and no matrix are the identity.
    Rule(.crtc, "GAMMA_LUT", 0),
    Rule(.crtc, "DEGAMMA_LUT", 0),
    Rule(.crtc, "CTM", 0),
    // drm_connector.c: frames at the mode's own rate.
    Rule(.crtc, "VRR_ENABLED", 0),
    // drm_blend.c of Linux 6.19: opaque black, as A, R, G, B of 16 bits each.
    Rule(.crtc, "BACKGROUND_COLOR", 0xffff_0000_0000_0000),
    // i915's intel_casf.c of Linux 6.19.
    Rule(.crtc, "SHARPNESS_STRENGTH", 0),
    // drm_connector.c: DRM_MODE_SCALE_NONE; a panel that always scales does not list it.
    Rule(.connector, "scaling mode", 0),
    // amdgpu_display.c, radeon_display.c, nouveau_display.c: UNDERSCAN_OFF.
    Rule(.connector, "underscan", 0),
    // drm_connector.c, drm_mode_create_tv_margin_properties: no border.
    Rule(.connector, "left margin", 0),
    Rule(.connector, "right margin", 0),
    Rule(.connector, "top margin", 0),
    Rule(.connector, "bottom margin", 0),
    // drm_connector.c: DRM_MODE_COLORIMETRY_DEFAULT, and no metadata.
    Rule(.connector, "Colorspace", 0),
    Rule(.connector, "HDR_OUTPUT_METADATA", 0),
  ]

  /// Where planes lie and what they show, which every mode setting says anew.
  static let geometry: [KMSObjectKind: [String]] = [
    .plane: [
      "FB_ID", "CRTC_ID", "SRC_X", "SRC_Y", "SRC_W", "SRC_H", "CRTC_X", "CRTC_Y", "CRTC_W", "CRTC_H", "zpos",
    ],
    .crtc: ["ACTIVE", "MODE_ID"],
    .connector: ["CRTC_ID"],
  ]

  /// Told for one commit and gone with it (`drm_atomic_uapi.c`), so that there is nothing to come back to.
  static let transient: Set<String> = [
    "IN_FENCE_FD", "OUT_FENCE_PTR", "FB_DAMAGE_CLIPS", "WRITEBACK_FB_ID", "WRITEBACK_OUT_FENCE_PTR",
  ]

  /// Left as they are, and nothing to wonder about: they name a link's state, or what a screen is told.
  static let harmless: Set<String> = [
    "DPMS", "link-status", "max bpc", "Content Protection", "HDCP Content Type", "content type",
    "privacy-screen sw-state", "audio", "coherent", "load detection", "underscan hborder",
    "underscan vborder",
  ]

  /// Whether the saved value of a property is set again.
  static func isRestored(_ name: String, of kind: KMSObjectKind) -> Bool {
    geometry[kind]?.contains(name) == true || isNeutralised(name, of: kind)
  }

  /// Whether a rule says with which value it leaves pixels as they are.
  static func isNeutralised(_ name: String, of kind: KMSObjectKind) -> Bool {
    rules.contains { $0.kind == kind && $0.name == name }
  }
}

extension DisplayObject {
  /// What has to be set so that the object leaves pixels as they are.
  ///
  /// A property that has its neutral value is left alone, and so is one that cannot have it, such as the scaling mode of a
  /// panel that always scales.
  var neutralising: [KMSAssignment] {
    PictureProperties.rules.compactMap { rule in
      guard rule.kind == kind, let property = property(rule.name), !property.isImmutable,
        property.value != rule.neutral, property.admits(rule.neutral)
      else { return nil }
      return KMSAssignment(object: id, property: property.id, value: rule.neutral)
    }
  }

  /// The properties that no rule knows and that are not as drivers usually create them, by name.
  ///
  /// The kernel does not tell defaults. Nearly every driver begins with no blob, the first of an enumeration and the least of
  /// a range.
  var unusual: [String] {
    properties.filter { property in
      let name = property.name
      guard !property.isImmutable, !property.isObject, PictureProperties.geometry[kind]?.contains(name) != true,
        !PictureProperties.transient.contains(name), !PictureProperties.harmless.contains(name),
        !PictureProperties.isNeutralised(name, of: kind)
      else { return false }
      let usual = property.isBlob || property.isBitmask ? 0 : property.values.first ?? 0
      return property.value != usual
    }.map(\.name)
  }
}

extension DisplayRoute {
  /// The values that the plane's `COLOR_ENCODING` and `COLOR_RANGE` have while this library shows something; nil where it has not
  /// got both.
  package var colourModel: (encoding: UInt64, range: UInt64)? {
    guard let plane = objects?.plane, let encoding = plane.property("COLOR_ENCODING"),
      let range = plane.property("COLOR_RANGE")
    else { return nil }
    return (plane.valueWhileShown(encoding), plane.valueWhileShown(range))
  }
}

extension DisplayObject {
  /// The neutral value where a rule says one and the property can have it; else the value that it has.
  fileprivate func valueWhileShown(_ property: KMSProperty) -> UInt64 {
    neutralising.first { $0.property == property.id }?.value ?? property.value
  }
}
