/// The ids that `drmModeGetResources` lists, and the sizes a framebuffer may have, in pixels.
package struct KMSResources: Hashable, Sendable {
  package var crtcs: [UInt32]
  package var connectors: [UInt32]
  package var encoders: [UInt32]
  package var widths: ClosedRange<UInt32>
  package var heights: ClosedRange<UInt32>

  package init(
    crtcs: [UInt32], connectors: [UInt32], encoders: [UInt32], widths: ClosedRange<UInt32>,
    heights: ClosedRange<UInt32>
  ) {
    self.crtcs = crtcs
    self.connectors = connectors
    self.encoders = encoders
    self.widths = widths
    self.heights = heights
  }
}

/// What `drmModeGetConnector` tells, without its modes.
package struct KMSConnector: Hashable, Sendable {
  package var id: UInt32
  /// `DRM_MODE_CONNECTOR_…`.
  package var type: UInt32
  package var typeIndex: UInt32
  /// `drmModeConnection`: 1 connected, 2 not, 3 unknown.
  package var connection: UInt32
  package var encoders: [UInt32]
  /// The encoder that feeds it now, 0 for none.
  package var encoder: UInt32

  package init(
    id: UInt32, type: UInt32, typeIndex: UInt32, connection: UInt32, encoders: [UInt32], encoder: UInt32 = 0
  ) {
    self.id = id
    self.type = type
    self.typeIndex = typeIndex
    self.connection = connection
    self.encoders = encoders
    self.encoder = encoder
  }
}

/// What `drmModeGetPlane` tells.
package struct KMSPlane: Hashable, Sendable {
  package var id: UInt32
  /// Bit n: the plane fits the CRTC at index n of the resources.
  package var possibleCRTCs: UInt32
  package var formats: [UInt32]

  package init(id: UInt32, possibleCRTCs: UInt32, formats: [UInt32]) {
    self.id = id
    self.possibleCRTCs = possibleCRTCs
    self.formats = formats
  }
}

/// One property of a KMS object with its present value.
package struct KMSProperty: Hashable, Sendable {
  package var id: UInt32
  package var name: String
  package var value: UInt64
  /// `DRM_MODE_PROP_…` bits.
  package var flags: UInt32
  /// Least and largest value of a range, each value of an enumeration, each bit's number of a bitmask.
  package var values: [UInt64]

  package init(id: UInt32, name: String, value: UInt64, flags: UInt32, values: [UInt64] = []) {
    self.id = id
    self.name = name
    self.value = value
    self.flags = flags
    self.values = values
  }

  /// Nobody may set it (`DRM_MODE_PROP_IMMUTABLE`).
  package var isImmutable: Bool { flags & 1 << 2 != 0 }

  /// Its value is the id of a blob, or 0 (`DRM_MODE_PROP_BLOB`).
  package var isBlob: Bool { flags & 1 << 4 != 0 }

  /// Its value is the id of another object, or 0 (`DRM_MODE_PROP_OBJECT`).
  package var isObject: Bool { flags & 0xffc0 == 1 << 6 }

  /// Its value is one of `values` (`DRM_MODE_PROP_ENUM`).
  package var isEnumeration: Bool { flags & 1 << 3 != 0 }

  /// Each bit of its value is one of those that `values` numbers (`DRM_MODE_PROP_BITMASK`).
  package var isBitmask: Bool { flags & 1 << 5 != 0 }

  /// Whether the kernel could take a value; what a driver makes of it only a commit tells.
  package func admits(_ value: UInt64) -> Bool {
    if isEnumeration { return values.contains(value) }
    if isBitmask { return (0..<64).allSatisfy { value >> $0 & 1 == 0 || values.contains($0) } }
    // DRM_MODE_PROP_RANGE
    if flags & 1 << 1 != 0, values.count == 2 { return values[0] <= value && value <= values[1] }
    return true
  }
}

/// One assignment of an atomic request.
package struct KMSAssignment: Hashable, Sendable {
  package var object: UInt32
  package var property: UInt32
  package var value: UInt64

  package init(object: UInt32, property: UInt32, value: UInt64) {
    self.object = object
    self.property = property
    self.value = value
  }
}

/// What `AddFB2` is told; `modifier` nil leaves out `DRM_MODE_FB_MODIFIERS`.
package struct KMSFramebufferRequest: Hashable, Sendable {
  package var width: UInt32
  package var height: UInt32
  package var fourcc: UInt32
  package var modifier: UInt64?
  package var planes: [GBMPlane]

  package init(width: UInt32, height: UInt32, fourcc: UInt32, modifier: UInt64?, planes: [GBMPlane]) {
    self.width = width
    self.height = height
    self.fourcc = fourcc
    self.modifier = modifier
    self.planes = planes
  }
}

/// The kinds of object that have properties, with the C constants' values.
package enum KMSObjectKind: UInt32, Sendable, Codable {
  case crtc = 0xcccc_cccc
  case connector = 0xc0c0_c0c0
  case plane = 0xeeee_eeee
}

/// Kernel mode setting.
package protocol KMSCalls {
  /// `drmModeGetResources`.
  func kmsResources(_ descriptor: CInt) -> CallResult<KMSResources>
  /// `drmModeGetConnectorCurrent`: what is known, without probing the wire.
  func kmsConnector(_ descriptor: CInt, id: UInt32) -> CallResult<KMSConnector>
  /// `drmModeGetEncoder`: bit n says that the CRTC at index n fits.
  func kmsEncoderCRTCs(_ descriptor: CInt, id: UInt32) -> CallResult<UInt32>
  /// `drmModeGetEncoder`: the CRTC that feeds it now, 0 for none.
  func kmsEncoderCRTC(_ descriptor: CInt, id: UInt32) -> CallResult<UInt32>
  /// `drmModeGetPlaneResources`.
  func kmsPlanes(_ descriptor: CInt) -> CallResult<[UInt32]>
  /// `drmModeGetPlane`.
  func kmsPlane(_ descriptor: CInt, id: UInt32) -> CallResult<KMSPlane>
  /// `drmModeObjectGetProperties` with each property's name from `drmModeGetProperty`; all of them or an errno.
  func kmsProperties(_ descriptor: CInt, object: UInt32, kind: KMSObjectKind) -> CallResult<[KMSProperty]>
  /// `drmModeObjectSetProperty`, which needs no atomic mode setting.
  func kmsSetProperty(
    _ descriptor: CInt, object: UInt32, kind: KMSObjectKind, property: UInt32, value: UInt64
  ) -> CallResult<Void>
  /// `drmModeGetPropertyBlob`.
  func kmsBlob(_ descriptor: CInt, id: UInt32) -> CallResult<[UInt8]>
  /// `drmModeCreatePropertyBlob`.
  func kmsCreateBlob(_ descriptor: CInt, bytes: [UInt8]) -> CallResult<UInt32>
  /// `drmModeDestroyPropertyBlob`.
  func kmsDestroyBlob(_ descriptor: CInt, id: UInt32) -> CallResult<Void>
  /// `drmModeAddFB2WithModifiers`.
  func kmsAddFramebuffer(_ descriptor: CInt, _ request: KMSFramebufferRequest) -> CallResult<UInt32>
  /// `drmModeRmFB`.
  func kmsRemoveFramebuffer(_ descriptor: CInt, id: UInt32) -> CallResult<Void>
  /// `DRM_IOCTL_MODE_ATOMIC`. Gives one sync_file descriptor for each entry of `outFences`, whose values are ignored;
  /// not restarted when interrupted.
  func kmsCommit(
    _ descriptor: CInt, assignments: [KMSAssignment], outFences: [KMSAssignment], flags: UInt32, userData: UInt64
  ) -> CallResult<[CInt]>
}
