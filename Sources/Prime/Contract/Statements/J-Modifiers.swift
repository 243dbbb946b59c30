internal import Prime

extension Contract {
  /// What ADDFB2 makes of modifiers, and of what lies behind the planes of a format.
  static let framebufferModifiers: [Statement] = [
    Statement(
      "J09", .core, on: .display,
      "a modifier without DRM_MODE_FB_MODIFIERS is refused, and so are two of them in one framebuffer",
      source: "drm_framebuffer.c:framebuffer_check"
    ) { check in
      let (node, good) = try check.framebufferRequest()
      check.expect(check.kernel.addFramebuffer(node, good.with(\.modifiers[0], 1)), fails: .invalidArgument)
      guard try check.takesModifiers(node), let two = try? check.twoPlaneRequest(on: node).with(modifier: 0) else {
        return
      }
      check.expect(check.kernel.addFramebuffer(node, two.with(\.modifiers[1], 1)), fails: .invalidArgument)
    },
    Statement(
      "J10", .core, on: .display,
      "where DRM_CAP_ADDFB2_MODIFIERS is 0 the flag DRM_MODE_FB_MODIFIERS is refused, LINEAR or not",
      source: "drm_framebuffer.c:drm_internal_framebuffer_create"
    ) { check in
      let (node, good) = try check.framebufferRequest()
      guard try check.takesModifiers(node) == false else {
        throw Statement.Stop.skipped("\(check.subject.name) takes modifiers")
      }
      check.expect(check.kernel.addFramebuffer(node, good.with(modifier: 0)), fails: .invalidArgument)
    },
    Statement(
      "J11", .core, on: .display, "where the driver takes modifiers, LINEAR is one of them",
      source: "drm_framebuffer.c:drm_internal_framebuffer_create"
    ) { check in
      let (node, good) = try check.modifierRequest()
      try check.expect(check.kernel.addFramebuffer(node, good))
    },
    Statement(
      "J12", .helper, of: .surely(.shmem, .dma, .vram), on: .display, "DRM_FORMAT_MOD_INVALID is no modifier",
      source: "drm_plane.c:drm_any_plane_has_format"
    ) { check in
      let (node, good) = try check.modifierRequest()
      let invalid = Modifier.invalid.rawValue
      check.expect(check.kernel.addFramebuffer(node, good.with(modifier: invalid)), fails: .invalidArgument)
    },
    Statement(
      "J13", .helper, of: .surely(.shmem, .dma, .vram), on: .display, "a modifier that no plane lists is refused",
      source: "drm_plane.c:drm_any_plane_has_format"
    ) { check in
      let (node, good) = try check.modifierRequest()
      // drm_fourcc.h has no vendor 0x7f.
      check.expect(check.kernel.addFramebuffer(node, good.with(modifier: 0x7f << 56 | 1)), fails: .invalidArgument)
    },
    Statement(
      "J14", .core, on: .display,
      "what stands behind the format's planes is tolerated, except with DRM_MODE_FB_MODIFIERS",
      source: "drm_framebuffer.c:framebuffer_check"
    ) { check in
      let (node, good) = try check.framebufferRequest()
      let more = [
        good.with(\.handles[1], good.handles[0]), good.with(\.pitches[1], good.pitches[0]), good.with(\.offsets[1], 64),
      ]
      for request in more { try check.expect(check.kernel.addFramebuffer(node, request)) }
      guard try check.takesModifiers(node) else { return }
      for request in more {
        check.expect(check.kernel.addFramebuffer(node, request.with(modifier: 0)), fails: .invalidArgument)
      }
    },
    Statement(
      "J25", .core, on: .display, "IN_FORMATS can be read, and what it lists as linear makes a framebuffer",
      source: "drm_plane.c:create_in_format_blob"
    ) { check in
      let node = try check.openDevice()
      let lists = try check.formatLists(on: node)
      guard !lists.isEmpty else { throw Statement.Stop.skipped("no plane of \(check.subject.name) has IN_FORMATS") }
      // Eight bytes a pixel, and room for planes behind one another.
      let layout = try check.prepare(check.kernel.createDumb(node, width: 128, height: 256))
      for id in lists {
        let bytes = try check.expect(check.kernel.blob(node, id))
        guard let formats = try? InFormats(parsing: bytes) else {
          check.expect("IN_FORMATS", false, "version 1 with its lists inside", got: "\(bytes.prefix(24))…")
          continue
        }
        check.expect("IN_FORMATS", !formats.formats.isEmpty, "formats", got: "none")
        for fourcc in formats.formats where formats.contains(fourcc, .linear) {
          guard let request = Self.linearRequest(fourcc, handle: layout.handle) else { continue }
          try check.expect(check.kernel.addFramebuffer(node, request))
        }
      }
    },
  ]

  /// 64x64 pixels of a format one plane after the other; nil for formats that this library does not describe.
  private static func linearRequest(_ fourcc: Fourcc, handle: UInt32) -> ProbeFramebuffer? {
    guard let format = PixelFormat(fourcc),
      let layout = try? PictureLayout.packed(format: format, width: 64, height: 64, pitchAlignment: 256)
    else { return nil }
    var request = ProbeFramebuffer(width: 64, height: 64, fourcc: fourcc.rawValue, handle: handle, pitch: 0)
      .with(\.flags, ProbeFramebuffer.withModifiers)
    for (index, plane) in layout.planes.enumerated() {
      request.handles[index] = handle
      request.pitches[index] = UInt32(plane.pitch)
      request.offsets[index] = UInt32(plane.offset)
    }
    return request
  }
}

extension Check {
  /// `DRM_CAP_ADDFB2_MODIFIERS`.
  func takesModifiers(_ node: CInt) throws(Statement.Stop) -> Bool {
    try prepare(kernel.capability(node, 0x10)) != 0
  }

  /// A `framebufferRequest` with the modifier LINEAR, on a driver that takes modifiers.
  func modifierRequest() throws(Statement.Stop) -> (node: CInt, request: ProbeFramebuffer) {
    let (node, good) = try framebufferRequest()
    guard try takesModifiers(node) else { throw .skipped("\(subject.name) takes no modifiers (see J10)") }
    return (node, good.with(modifier: Modifier.linear.rawValue))
  }

  /// The ids of the `IN_FORMATS` blobs of all planes.
  func formatLists(on node: CInt) throws(Statement.Stop) -> Set<UInt32> {
    let system = kernel.unrecorded
    _ = system.setClientCapability(node, ClientCapability.universalPlanes, 1)
    guard case .success(let planes) = system.kmsPlanes(node) else { throw .broken("the planes cannot be listed") }
    return Set(
      planes.flatMap { plane in
        ((try? system.kmsProperties(node, object: plane, kind: .plane).get()) ?? [])
          .filter { $0.name == "IN_FORMATS" && $0.value != 0 }.map { UInt32($0.value) }
      })
  }
}
