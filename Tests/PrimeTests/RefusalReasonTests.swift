import Testing

@testable import Prime

/// An importer that refuses everybody, by what else it says of itself.
@Suite("The reason of a refused import")
struct RefusalReasonTests {
  @Test(
    "holds against a driver only what it claims",
    arguments: [
      (true as Bool?, "; that it advertises DRM_CAP_PRIME import says nothing"),
      (false, "; nor does it advertise DRM_CAP_PRIME import"), (nil, ""),
    ])
  func claim(advertised: Bool?, ending: String) {
    let sentence = RefusalReason.sentence(
      ("vgem", .shares("vkms")), ("bochs-drm", .refused), errno: .notImplemented, advertised: advertised)
    #expect(
      sentence
        == "bochs-drm takes no buffers of other devices, while vkms takes buffers of vgem: its driver or the exporter's "
        + "does not implement it\(ending)")
  }
}
