/// What a device's displays showed, as a value: read by one process, it can be put back by another.
///
/// Framebuffers are named by number. They are their owner's and stay while it has them; a blob may go with the state that
/// refers to it, so its bytes are here.
package struct SavedDisplayState: Hashable, Sendable, Codable {
  /// What a property was set to.
  package enum Value: Hashable, Sendable, Codable {
    /// A number; 0 for a blob that is not there.
    case number(UInt64)
    /// A blob's bytes.
    case blob([UInt8])
  }

  /// One property that can be set, with its value.
  package struct Property: Hashable, Sendable, Codable {
    package var id: UInt32
    package var name: String
    package var value: Value
  }

  /// A CRTC, a plane or a connector.
  package struct Object: Hashable, Sendable, Codable {
    package var id: UInt32
    package var kind: KMSObjectKind
    /// Every property that can be set and that lasts, in the kernel's order.
    package var properties: [Property]
  }

  /// A CRTC as the calls from before atomic mode setting see it.
  package struct LegacyCRTC: Hashable, Sendable, Codable {
    package var id: UInt32
    package var framebuffer: UInt32
    package var x: UInt32
    package var y: UInt32
    /// The bytes of a `drm_mode_modeinfo`; nil where it is off.
    package var mode: [UInt8]?
    /// The connectors that it feeds.
    package var connectors: [UInt32]
    /// Its three gamma tables one after the other; empty where it has none.
    package var gamma: [UInt16]
  }

  /// What every connector, plane and CRTC is set to; without atomic mode setting the kernel shows some properties only.
  package private(set) var objects: [Object] = []
  /// The CRTCs of a device without atomic mode setting; none with it.
  package private(set) var legacy: [LegacyCRTC] = []
  /// Whether one commit puts everything back.
  package let isAtomic: Bool

  /// Reads what every CRTC, plane and connector is set to.
  ///
  /// It asks for atomic mode setting, since the kernel shows most properties only to clients that have it; where the device
  /// has none, the older calls are asked.
  ///
  /// - Throws: whatever cannot be read. A state that is not whole could not be put back.
  package init(of device: Device) throws(PrimeError) {
    isAtomic = try Self.enablesAtomic(on: device)
    if !isAtomic { legacy = try Self.legacyCRTCs(of: device) }
    let resources = try device.kernel.kmsResources(device.rawDescriptor)
      .orThrow("drmModeGetResources", on: device.subject)
    let planes = try device.kernel.kmsPlanes(device.rawDescriptor)
      .orThrow("drmModeGetPlaneResources", on: device.subject)
    for id in resources.connectors { objects.append(try Self.object(id, .connector, of: device)) }
    for id in planes { objects.append(try Self.object(id, .plane, of: device)) }
    for id in resources.crtcs { objects.append(try Self.object(id, .crtc, of: device)) }
  }

  /// Writeback connectors are listed only to those who ask, and not every kernel knows them.
  private static func enablesAtomic(on device: Device) throws(PrimeError) -> Bool {
    switch device.enableAtomic() {
    case .success:
      _ = device.enableWriteback()
      return true
    case .failure(.notSupported), .failure(.invalidArgument): return false
    case .failure(let errno):
      throw PrimeError(
        operation: "drmSetClientCap", errno: errno, subject: device.subject, reason: PrimeError.commonReason(errno))
    }
  }

  private static func object(
    _ id: UInt32, _ kind: KMSObjectKind, of device: Device
  ) throws(PrimeError) -> Object {
    var object = Object(id: id, kind: kind, properties: [])
    for property in try DisplayObject(id, kind, of: device).properties
    where !property.isImmutable && !PictureProperties.transient.contains(property.name) {
      var value = Value.number(property.value)
      if property.isBlob && property.value != 0 {
        value = .blob(
          try device.kernel.kmsBlob(device.rawDescriptor, id: UInt32(truncatingIfNeeded: property.value))
            .orThrow("drmModeGetPropertyBlob", on: device.subject, reason: "\(kind) \(id), \(property.name)"))
      }
      object.properties.append(Property(id: property.id, name: property.name, value: value))
    }
    return object
  }

  /// What a property of an object was set to; nil where it has none of this name that can be set.
  package subscript(_ object: UInt32, _ name: String) -> Value? {
    objects.first { $0.id == object }?.properties.first { $0.name == name }?.value
  }

  // MARK: - Back again

  /// Puts every display of the device back.
  ///
  /// The open file has to be the DRM master. It may be another one than the state was read with, of another process.
  ///
  /// The kernel may have no memory for the commit, be at work, or be interrupted: then it is asked again until the deadline.
  ///
  /// - Throws: the call that failed for good; the reason says what stays changed.
  package func restore(on device: Device, deadline: Deadline) throws(PrimeError) {
    while true {
      do throws(PrimeError) {
        return try restoreOnce(on: device, deadline: deadline)
      } catch {
        let isPassing = [.noMemory, .busy, .interrupted, .tryAgain].contains(error.errno)
        guard isPassing, deadline.remaining > .zero, !deadline.isCancelled else {
          throw error.explained(unrestored(on: device, because: error))
        }
        deadline.pause(milliseconds: 10)
      }
    }
  }

  private func restoreOnce(on device: Device, deadline: Deadline) throws(PrimeError) {
    guard isAtomic else { return try restoreLegacy(on: device) }
    // For an open file that did not read the state; where they are refused, so is the commit.
    _ = device.enableAtomic().flatMap { device.enableWriteback() }
    // Each blob has to be there until the commit was sent.
    let (values, blobs) = try restored(on: device)
    let commit = AtomicCommit(assignments: values.map(\.assignment))
    _ = try commit.send(on: device, flags: .allowModeset, deadline: deadline)
    withExtendedLifetime(blobs) {}
  }

  private typealias Restored = (kind: KMSObjectKind, name: String, assignment: KMSAssignment)

  /// Everything that is set again, with the blobs that it names.
  private func restored(on device: Device) throws(PrimeError) -> (values: [Restored], blobs: [HeldBlob]) {
    var values: [Restored] = []
    var blobs: [HeldBlob] = []
    for object in objects {
      for property in object.properties where PictureProperties.isRestored(property.name, of: object.kind) {
        let value: UInt64
        switch property.value {
        case .number(let number): value = number
        case .blob(let bytes):
          let held = HeldBlob(try PropertyBlob(bytes, on: device))
          blobs.append(held)
          value = UInt64(held.blob.id.rawValue)
        }
        let assignment = KMSAssignment(object: object.id, property: property.id, value: value)
        values.append((object.kind, property.name, assignment))
      }
    }
    return (values, blobs)
  }

  /// Arrays hold no owners.
  private final class HeldBlob {
    let blob: PropertyBlob

    init(_ blob: consuming PropertyBlob) { self.blob = blob }
  }

  private func unrestored(on device: Device, because error: PrimeError) -> String {
    let cause = error.reason.map { ": \($0)" } ?? ""
    guard let now = try? SavedDisplayState(of: device) else {
      return "the display was not put back, and what it shows now cannot be read\(cause)"
    }
    let changes = changes(to: now)
    guard !changes.isEmpty else { return "the display was not put back, and nothing of it is changed\(cause)" }
    let list = changes.joined(separator: ", ")
    return "the display was not put back, and its picture is taken away; changed stay \(list)\(cause)"
  }

  /// What is other in another state: `plane 31 rotation`.
  package func changes(to other: SavedDisplayState) -> [String] {
    changes(to: other) { _, _ in true }
  }

  /// The same of what `restore` sets again: other properties may change by themselves.
  package func pictureChanges(to other: SavedDisplayState) -> [String] {
    changes(to: other) { object, property in PictureProperties.isRestored(property.name, of: object.kind) }
  }

  private func changes(to other: SavedDisplayState, where counts: (Object, Property) -> Bool) -> [String] {
    var changes: [String] = []
    for object in objects {
      let names = object.properties.filter { counts(object, $0) && $0.value != other[object.id, $0.name] }.map(\.name)
      if !names.isEmpty { changes.append("\(object.kind) \(object.id) \(names.joined(separator: ", "))") }
    }
    for crtc in legacy where !other.legacy.contains(crtc) { changes.append("crtc \(crtc.id)") }
    return changes
  }
}

// MARK: - Before atomic mode setting

extension SavedDisplayState {
  private static func legacyCRTCs(of device: Device) throws(PrimeError) -> [LegacyCRTC] {
    let (kernel, file) = (device.kernel, device.rawDescriptor)
    let resources = try kernel.kmsResources(file).orThrow("drmModeGetResources", on: device.subject)
    var fed: [UInt32: [UInt32]] = [:]
    for id in resources.connectors {
      let connector = try kernel.kmsConnector(file, id: id).orThrow("drmModeGetConnector", on: device.subject)
      guard connector.encoder != 0 else { continue }
      let crtc = try kernel.kmsEncoderCRTC(file, id: connector.encoder)
        .orThrow("drmModeGetEncoder", on: device.subject)
      fed[crtc, default: []].append(id)
    }
    var crtcs: [LegacyCRTC] = []
    for id in resources.crtcs {
      let crtc = try kernel.kmsCRTC(file, id: id).orThrow("drmModeGetCrtc", on: device.subject)
      let gamma =
        crtc.gammaSize == 0
        ? []
        : try kernel.kmsGamma(file, crtc: id, size: crtc.gammaSize).orThrow("drmModeCrtcGetGamma", on: device.subject)
      crtcs.append(
        LegacyCRTC(
          id: id, framebuffer: crtc.framebuffer, x: crtc.x, y: crtc.y, mode: crtc.mode, connectors: fed[id] ?? [],
          gamma: gamma))
    }
    return crtcs
  }

  private func restoreLegacy(on device: Device) throws(PrimeError) {
    let (kernel, file) = (device.kernel, device.rawDescriptor)
    // Those that were off let go of their connectors before others ask for them.
    for crtc in legacy.filter({ $0.mode == nil }) + legacy.filter({ $0.mode != nil }) {
      let state = KMSCRTC(framebuffer: crtc.framebuffer, x: crtc.x, y: crtc.y, mode: crtc.mode)
      try kernel.kmsSetCRTC(file, id: crtc.id, state, connectors: crtc.connectors)
        .orThrow("drmModeSetCrtc", on: device.subject)
      guard !crtc.gamma.isEmpty else { continue }
      try kernel.kmsSetGamma(file, crtc: crtc.id, crtc.gamma).orThrow("drmModeCrtcSetGamma", on: device.subject)
    }
    let (values, blobs) = try restored(on: device)
    for (kind, name, assignment) in values where PictureProperties.isNeutralised(name, of: kind) {
      try kernel.kmsSetProperty(
        file, object: assignment.object, kind: kind, property: assignment.property, value: assignment.value
      ).orThrow("drmModeObjectSetProperty", on: device.subject, reason: "\(kind) \(assignment.object), \(name)")
    }
    withExtendedLifetime(blobs) {}
  }
}
