internal import CDrm
internal import Glibc

extension LinuxKernel {
  /// libdrm's getters answer NULL with errno set.
  static func missing<Value>() -> CallResult<Value> {
    let errno = Glibc.errno
    return .failure(Errno(rawValue: errno == 0 ? EINVAL : errno))
  }

  private static func array<Element>(_ pointer: UnsafeMutablePointer<Element>?, count: some BinaryInteger) -> [Element]
  {
    // Safe: libdrm allocated `count` elements at the pointer, or count is 0.
    unsafe Array(UnsafeBufferPointer(start: pointer, count: pointer == nil ? 0 : Int(count)))
  }

  package func kmsResources(_ descriptor: CInt) -> CallResult<KMSResources> {
    // Safe: libdrm allocates the answer and it is freed after everything was copied out of it.
    guard let resources = unsafe drmModeGetResources(descriptor) else { return Self.missing() }
    defer { unsafe drmModeFreeResources(resources) }
    let answer = unsafe resources.pointee
    return unsafe .success(
      KMSResources(
        crtcs: Self.array(answer.crtcs, count: answer.count_crtcs),
        connectors: Self.array(answer.connectors, count: answer.count_connectors),
        encoders: Self.array(answer.encoders, count: answer.count_encoders),
        widths: answer.min_width...max(answer.min_width, answer.max_width),
        heights: answer.min_height...max(answer.min_height, answer.max_height)))
  }

  package func kmsConnector(_ descriptor: CInt, id: UInt32) -> CallResult<KMSConnector> {
    // Safe: as above.
    guard let connector = unsafe drmModeGetConnectorCurrent(descriptor, id) else { return Self.missing() }
    defer { unsafe drmModeFreeConnector(connector) }
    let answer = unsafe connector.pointee
    return unsafe .success(
      KMSConnector(
        id: answer.connector_id, type: answer.connector_type, typeIndex: answer.connector_type_id,
        connection: answer.connection.rawValue,
        encoders: Self.array(answer.encoders, count: answer.count_encoders), encoder: answer.encoder_id))
  }

  package func kmsEncoderCRTCs(_ descriptor: CInt, id: UInt32) -> CallResult<UInt32> {
    // Safe: as above.
    guard let encoder = unsafe drmModeGetEncoder(descriptor, id) else { return Self.missing() }
    defer { unsafe drmModeFreeEncoder(encoder) }
    return unsafe .success(encoder.pointee.possible_crtcs)
  }

  package func kmsEncoderCRTC(_ descriptor: CInt, id: UInt32) -> CallResult<UInt32> {
    // Safe: as above.
    guard let encoder = unsafe drmModeGetEncoder(descriptor, id) else { return Self.missing() }
    defer { unsafe drmModeFreeEncoder(encoder) }
    return unsafe .success(encoder.pointee.crtc_id)
  }

  package func kmsPlanes(_ descriptor: CInt) -> CallResult<[UInt32]> {
    // Safe: as above.
    guard let planes = unsafe drmModeGetPlaneResources(descriptor) else { return Self.missing() }
    defer { unsafe drmModeFreePlaneResources(planes) }
    return unsafe .success(Self.array(planes.pointee.planes, count: planes.pointee.count_planes))
  }

  package func kmsPlane(_ descriptor: CInt, id: UInt32) -> CallResult<KMSPlane> {
    // Safe: as above.
    guard let plane = unsafe drmModeGetPlane(descriptor, id) else { return Self.missing() }
    defer { unsafe drmModeFreePlane(plane) }
    let answer = unsafe plane.pointee
    return unsafe .success(
      KMSPlane(
        id: answer.plane_id, possibleCRTCs: answer.possible_crtcs,
        formats: Self.array(answer.formats, count: answer.count_formats)))
  }

  package func kmsProperties(
    _ descriptor: CInt, object: UInt32, kind: KMSObjectKind
  ) -> CallResult<[KMSProperty]> {
    // Safe: as above.
    guard let list = unsafe drmModeObjectGetProperties(descriptor, object, kind.rawValue) else {
      return Self.missing()
    }
    defer { unsafe drmModeFreeObjectProperties(list) }
    let ids = unsafe Self.array(list.pointee.props, count: list.pointee.count_props)
    let values = unsafe Self.array(list.pointee.prop_values, count: list.pointee.count_props)
    var properties: [KMSProperty] = []
    for (id, value) in zip(ids, values) {
      // Safe: as above. One that cannot be read is an error: who does not see it would take it for one that is not there.
      guard let property = unsafe drmModeGetProperty(descriptor, id) else { return Self.missing() }
      defer { unsafe drmModeFreeProperty(property) }
      let answer = unsafe property.pointee
      let name = unsafe withUnsafeBytes(of: answer.name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      // libdrm fills in either list, by the property's type.
      let enumerated = unsafe Self.array(answer.enums, count: answer.count_enums).map(\.value)
      let listed = unsafe Self.array(answer.values, count: answer.count_values)
      properties.append(
        unsafe KMSProperty(
          id: id, name: name, value: value, flags: answer.flags, values: enumerated.isEmpty ? listed : enumerated))
    }
    return .success(properties)
  }

  package func kmsSetProperty(
    _ descriptor: CInt, object: UInt32, kind: KMSObjectKind, property: UInt32, value: UInt64
  ) -> CallResult<Void> {
    Self.shimmed(drmModeObjectSetProperty(descriptor, object, kind.rawValue, property, value)).map { _ in }
  }

  package func kmsBlob(_ descriptor: CInt, id: UInt32) -> CallResult<[UInt8]> {
    // Safe: as above.
    guard let blob = unsafe drmModeGetPropertyBlob(descriptor, id) else { return Self.missing() }
    defer { unsafe drmModeFreePropertyBlob(blob) }
    let bytes = unsafe UnsafeRawBufferPointer(start: blob.pointee.data, count: Int(blob.pointee.length))
    return unsafe .success([UInt8](bytes))
  }

  package func kmsCreateBlob(_ descriptor: CInt, bytes: [UInt8]) -> CallResult<UInt32> {
    var id: UInt32 = 0
    // Safe: the kernel copies the bytes during the call.
    return unsafe Self.shimmed(drmModeCreatePropertyBlob(descriptor, bytes, bytes.count, &id)).map { _ in id }
  }

  package func kmsDestroyBlob(_ descriptor: CInt, id: UInt32) -> CallResult<Void> {
    Self.shimmed(drmModeDestroyPropertyBlob(descriptor, id)).map { _ in }
  }

  package func kmsAddFramebuffer(_ descriptor: CInt, _ request: KMSFramebufferRequest) -> CallResult<UInt32> {
    func padded<Number: FixedWidthInteger>(_ numbers: [Number]) -> [Number] {
      Array((numbers + [0, 0, 0, 0]).prefix(4))
    }
    let handles = padded(request.planes.map(\.handle))
    let pitches = padded(request.planes.map(\.pitch))
    let offsets = padded(request.planes.map(\.offset))
    let modifiers = padded(request.planes.map { _ in request.modifier ?? 0 })
    var id: UInt32 = 0
    // Safe: every array holds the four entries that libdrm reads.
    return unsafe Self.shimmed(
      drmModeAddFB2WithModifiers(
        descriptor, request.width, request.height, request.fourcc, handles, pitches, offsets, modifiers, &id,
        request.modifier == nil ? 0 : UInt32(DRM_MODE_FB_MODIFIERS))
    ).map { _ in id }
  }

  package func kmsRemoveFramebuffer(_ descriptor: CInt, id: UInt32) -> CallResult<Void> {
    Self.shimmed(drmModeRmFB(descriptor, id)).map { _ in }
  }

  package func kmsCommit(
    _ descriptor: CInt, assignments: [KMSAssignment], outFences: [KMSAssignment], flags: UInt32, userData: UInt64
  ) -> CallResult<[CInt]> {
    var fences = [CInt](repeating: -1, count: outFences.count)
    // Safe: the kernel writes one 32-bit number for each fence pointer during the call; the storage is held by the
    // closure until after it.
    let result = unsafe fences.withUnsafeMutableBufferPointer { storage -> CInt in
      let pointers = outFences.indices.map { index in
        KMSAssignment(
          object: outFences[index].object, property: outFences[index].property,
          value: unsafe UInt64(UInt(bitPattern: storage.baseAddress.map { unsafe $0 + index })))
      }
      // The kernel wants the assignments of one object together.
      let sorted = (assignments + pointers).sorted { ($0.object, $0.property) < ($1.object, $1.property) }
      var objects: [UInt32] = []
      var counts: [UInt32] = []
      for assignment in sorted {
        if objects.last == assignment.object {
          counts[counts.count - 1] += 1
        } else {
          objects.append(assignment.object)
          counts.append(1)
        }
      }
      return unsafe cdrm_atomic_commit(
        descriptor, flags, UInt32(objects.count), objects, counts, sorted.map(\.property), sorted.map(\.value),
        userData)
    }
    return Self.shimmed(result).map { _ in fences }
  }
}
