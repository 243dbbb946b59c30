import Prime
import Testing

/// A program that showed a picture on vkms, inverted and mirrored, and gave up mastership.
final class DisplayClient {
  let device: Device
  private let framebuffer: Framebuffer
  private let picture: DMABuf
  let crtc: UInt32
  let plane: UInt32
  let connector: UInt32

  /// An inverted ramp: 256 entries of red, green, blue and nothing, 16 bits each.
  private static let gamma = (0..<256).flatMap { index -> [UInt8] in
    let value = UInt16((255 - index) * 257)
    let bytes = [UInt8(truncatingIfNeeded: value), UInt8(value >> 8)]
    return bytes + bytes + bytes + [0, 0]
  }
  /// `DRM_MODE_ROTATE_0` and `DRM_MODE_REFLECT_X`.
  private static let rotation: UInt64 = 0x11

  init() throws {
    let node = try #require(DeviceDiscovery().devices().first { $0.driver == "vkms" }?.primary)
    device = try Device.open(node)
    try device.becomeMaster()
    let (kernel, file) = (device.kernel, device.rawDescriptor)
    for capability: UInt64 in [2, 3] { try kernel.setClientCapability(file, capability, 1).get() }
    let resources = try kernel.kmsResources(file).get()
    crtc = try #require(resources.crtcs.first)
    connector = try #require(resources.connectors.first)
    let planes = try kernel.kmsPlanes(file).get()
    plane = try #require(
      try planes.first { plane in
        try kernel.kmsProperties(file, object: plane, kind: .plane).get().contains {
          $0.name == "type" && $0.value == 1
        }
      })
    let mode = try #require(
      try kernel.kmsModes(file, connector: connector).get().first {
        try DisplayMode(parsing: $0).description.hasPrefix("1024x768@60")
      })
    let request = AllocationRequest(
      format: try #require(PixelFormat(Fourcc(rawValue: 0x3432_5258))), width: 1024, height: 768)
    let object = try DumbAllocator(device: device.reopened()).allocate(request)
    picture = try object.export(.readWrite).takeFirst()
    framebuffer = try Framebuffer(GEMHandle(importing: picture, into: device), object.description)
    try set([
      (crtc, .crtc, "MODE_ID", UInt64(kernel.kmsCreateBlob(file, bytes: mode).get())), (crtc, .crtc, "ACTIVE", 1),
      (crtc, .crtc, "GAMMA_LUT", UInt64(kernel.kmsCreateBlob(file, bytes: Self.gamma).get())),
      (connector, .connector, "CRTC_ID", UInt64(crtc)), (plane, .plane, "CRTC_ID", UInt64(crtc)),
      (plane, .plane, "FB_ID", UInt64(framebuffer.id.rawValue)), (plane, .plane, "SRC_X", 0),
      (plane, .plane, "SRC_Y", 0),
      (plane, .plane, "SRC_W", 1024 << 16), (plane, .plane, "SRC_H", 768 << 16), (plane, .plane, "CRTC_X", 0),
      (plane, .plane, "CRTC_Y", 0), (plane, .plane, "CRTC_W", 1024), (plane, .plane, "CRTC_H", 768),
      (plane, .plane, "rotation", Self.rotation),
    ])
    device.dropMaster()
  }

  /// Switches everything off and leaves nothing behind for the next test.
  func end() throws {
    try device.becomeMaster()
    try set([
      (crtc, .crtc, "ACTIVE", 0), (crtc, .crtc, "MODE_ID", 0), (crtc, .crtc, "GAMMA_LUT", 0),
      (connector, .connector, "CRTC_ID", 0), (plane, .plane, "CRTC_ID", 0), (plane, .plane, "FB_ID", 0),
      (plane, .plane, "rotation", 1),
    ])
    device.dropMaster()
  }

  private func set(_ values: [(object: UInt32, kind: KMSObjectKind, name: String, value: UInt64)]) throws {
    let assignments = try values.map { object, kind, name, value in
      let list = try device.kernel.kmsProperties(device.rawDescriptor, object: object, kind: kind).get()
      let property = try #require(list.first { $0.name == name }, "no \(name)")
      return KMSAssignment(object: object, property: property.id, value: value)
    }
    _ = try device.kernel.kmsCommit(
      device.rawDescriptor, assignments: assignments, outFences: [], flags: 0x400, userData: 0
    ).get()
  }

  /// What vkms shows, as far as anybody can see it.
  struct Shown {
    /// The lines of debugfs.
    fileprivate var state: [String]
    /// Every property that can be set, with the bytes of blobs, the gamma table's among them.
    fileprivate var properties: SavedDisplayState
  }

  /// What it shows now.
  func shown() throws -> Shown {
    // Where the kernel maps a framebuffer, and who else knows it, is not what it shows.
    let state = try Tool.displayState().split(separator: "\n").filter {
      !$0.contains("vaddr=") && !$0.contains("refcount=")
    }
    return Shown(state: state.map(String.init), properties: try SavedDisplayState(of: device))
  }

  /// What is other than it was, in words; empty where nothing is.
  func changes(since before: Shown) throws -> [String] {
    let now = try shown()
    // Others change by themselves: a connector's DPMS says at its first use what it is.
    return before.properties.pictureChanges(to: now.properties)
      + now.state.difference(from: before.state).map { "\($0)" }
  }
}
