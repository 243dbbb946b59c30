internal import Prime

extension Contract {
  /// J: framebuffers.
  static let framebuffers: [Statement] = (framebufferRequests + framebufferModifiers + framebufferLives).sorted {
    $0.id < $1.id
  }

  /// What ADDFB2 takes and refuses, apart from modifiers.
  private static let framebufferRequests: [Statement] = [
    Statement(
      "J01", .core, on: .display, "a framebuffer of an own buffer with the right geometry is made",
      source: "drm_framebuffer.c:drm_internal_framebuffer_create"
    ) { check in
      let (node, good) = try check.framebufferRequest()
      let id = try check.expect(check.kernel.addFramebuffer(node, good))
      check.expect("the id", id > 0, "above 0", got: "\(id)")
    },
    Statement(
      "J02", .helper, of: .surely(.shmem, .dma, .vram), on: .displayPair, "a framebuffer of an imported buffer is made",
      source: "drm_gem_framebuffer_helper.c:drm_gem_fb_init_with_funcs"
    ) { check in
      let buffer = try check.takenBuffer()
      let node = try check.openDevice()
      let handle = try check.prepare(check.kernel.primeFDToHandle(node, buffer.dmaBuf))
      let request = ProbeFramebuffer(of: buffer, as: try check.pictureFormat(), handle: handle)
      let id = try check.expect(check.kernel.addFramebuffer(node, request))
      check.expect("the id", id > 0, "above 0", got: "\(id)")
    },
    Statement(
      "J03", .core, on: .display, "an unknown format, an impossible size and unknown flags are refused",
      source: "drm_framebuffer.c:framebuffer_check, drm_internal_framebuffer_create"
    ) { check in
      let (node, good) = try check.framebufferRequest()
      guard case .success(let limits) = check.kernel.unrecorded.kmsResources(node) else {
        throw Statement.Stop.broken("the sizes of framebuffers cannot be read")
      }
      // "ZZZZ", which drm_fourcc.h does not have.
      check.expect(check.kernel.addFramebuffer(node, good.with(\.fourcc, 0x5a5a_5a5a)), fails: .invalidArgument)
      check.expect(check.kernel.addFramebuffer(node, good.with(\.width, 0)), fails: .invalidArgument)
      check.expect(check.kernel.addFramebuffer(node, good.with(\.height, 0)), fails: .invalidArgument)
      // Buffers that hold what is asked for, so that nothing but the limits refuses it.
      let wide = try check.framebufferRequest(on: node, width: limits.widths.upperBound + 1, height: 64)
      check.expect(check.kernel.addFramebuffer(node, wide), fails: .invalidArgument)
      let high = try check.framebufferRequest(on: node, width: 64, height: limits.heights.upperBound + 1)
      check.expect(check.kernel.addFramebuffer(node, high), fails: .invalidArgument)
      for (side, least) in [(\ProbeFramebuffer.width, limits.widths.lowerBound), (\.height, limits.heights.lowerBound)]
      where least > 1 {
        check.expect(check.kernel.addFramebuffer(node, good.with(side, least - 1)), fails: .invalidArgument)
      }
      check.expect(check.kernel.addFramebuffer(node, good.with(\.flags, 1 << 5)), fails: .invalidArgument)
    },
    Statement(
      "J04", .core, on: .display, "handle 0 is no buffer", source: "drm_framebuffer.c:framebuffer_check"
    ) { check in
      let (node, good) = try check.framebufferRequest()
      check.expect(check.kernel.addFramebuffer(node, good.with(\.handles[0], 0)), fails: .invalidArgument)
    },
    Statement(
      "J05", .helper, on: .display, "an unknown handle is named as such",
      source: "drm_gem_framebuffer_helper.c:drm_gem_fb_init_with_funcs"
    ) { check in
      let (node, good) = try check.framebufferRequest()
      check.expect(check.kernel.addFramebuffer(node, good.with(\.handles[0], 0xdead)), fails: .noSuchFile)
    },
    Statement(
      "J06", .core, on: .display, "a pitch shorter than a row is refused",
      source: "drm_framebuffer.c:framebuffer_check"
    ) { check in
      let (node, good) = try check.framebufferRequest()
      let short = good.width * 4 - 1
      check.expect(check.kernel.addFramebuffer(node, good.with(\.pitches[0], short)), fails: .invalidArgument)
      check.expect(check.kernel.addFramebuffer(node, good.with(\.pitches[0], 0)), fails: .invalidArgument)
    },
    Statement(
      "J07", .core, on: .display, "rows that end behind 4 GiB are out of range",
      source: "drm_framebuffer.c:framebuffer_check"
    ) { check in
      let (node, good) = try check.framebufferRequest()
      check.expect(check.kernel.addFramebuffer(node, good.with(\.offsets[0], 0xffff_f000)), fails: .outOfRange)
      check.expect(check.kernel.addFramebuffer(node, good.with(\.pitches[0], 0xffff_f000)), fails: .outOfRange)
    },
    Statement(
      "J08", .helper, on: .display, "a buffer that is too small for its rows, or ends before them, is refused",
      source: "drm_gem_framebuffer_helper.c:drm_gem_fb_init_with_funcs"
    ) { check in
      let node = try check.openDevice()
      let layout = try check.prepare(check.kernel.createDumb(node, width: 64, height: 64))
      let end = UInt32(layout.byteCount)
      let good = ProbeFramebuffer(
        width: 64, height: 32, fourcc: try check.pictureFormat(), handle: layout.handle, pitch: layout.pitch)
      let rows = end / layout.pitch + 2
      check.expect(check.kernel.addFramebuffer(node, good.with(\.height, rows)), fails: .invalidArgument)
      check.expect(check.kernel.addFramebuffer(node, good.with(\.offsets[0], end)), fails: .invalidArgument)
      // The last row has no padding behind it.
      let last = end - (layout.pitch * 31 + 64 * 4)
      try check.expect(check.kernel.addFramebuffer(node, good.with(\.offsets[0], last)))
      check.expect(check.kernel.addFramebuffer(node, good.with(\.offsets[0], last + 4)), fails: .invalidArgument)
    },
    Statement(
      "J22", .core, on: .display, "GETFB, which knows one plane only, refuses a framebuffer of several",
      source: "drm_framebuffer.c:drm_mode_getfb"
    ) { check in
      let node = try check.openDevice()
      let id = try check.prepare(check.kernel.addFramebuffer(node, check.twoPlaneRequest(on: node)))
      check.expect(check.kernel.framebufferHandle(node, id), fails: .invalidArgument)
    },
    Statement(
      "J23", .core, on: .vgem, "a device without displays has no framebuffers",
      source: "drm_framebuffer.c (drm_core_check_feature); drm_ioctl.c:drm_ioctl_permit"
    ) { check in
      let buffer = try check.buffer()
      let request = ProbeFramebuffer(of: buffer, as: try check.pictureFormat(), handle: buffer.handle ?? 0)
      check.expect(check.kernel.addFramebuffer(buffer.node, request), fails: .notSupported)
      check.expect(check.kernel.removeFramebuffer(buffer.node, 1), fails: .notSupported)
      // GETFB2 answers this feature's absence with an errno of its own.
      check.expect(check.kernel.framebuffer(buffer.node, 1), fails: .notSupported, .invalidArgument)
      guard let path = check.subject.device?.render?.path else { return }
      let render = try check.prepare(check.kernel.open(path, flags: 2))
      check.expect(check.kernel.addFramebuffer(render, request), fails: .permissionDenied)
      check.expect(check.kernel.removeFramebuffer(render, 1), fails: .permissionDenied)
      check.expect(check.kernel.framebuffer(render, 1), fails: .permissionDenied)
    },
  ]
}

extension ProbeFramebuffer {
  /// All of a buffer, in a format of 32 bits a pixel.
  init(of buffer: ProbeBuffer, as fourcc: UInt32, handle: UInt32) {
    self.init(width: buffer.width, height: buffer.height, fourcc: fourcc, handle: handle, pitch: buffer.pitch)
  }
}

extension Check {
  /// The subject's node, not as master, and a request that makes a framebuffer of a fresh buffer of 64x64 pixels there.
  func framebufferRequest() throws(Statement.Stop) -> (node: CInt, request: ProbeFramebuffer) {
    let node = try openDevice()
    return (node, try framebufferRequest(on: node, width: 64, height: 64))
  }

  /// A request for a framebuffer of all of a fresh buffer.
  func framebufferRequest(
    on node: CInt, width: UInt32, height: UInt32
  ) throws(Statement.Stop) -> ProbeFramebuffer {
    let layout = try prepare(kernel.createDumb(node, width: width, height: height))
    return ProbeFramebuffer(
      width: width, height: height, fourcc: try pictureFormat(), handle: layout.handle, pitch: layout.pitch)
  }

  /// A request for NV12 in one fresh buffer: luma in its first 64 rows, chroma in the 32 after them.
  func twoPlaneRequest(on node: CInt) throws(Statement.Stop) -> ProbeFramebuffer {
    // Whether the driver has such formats at all is not a statement's matter.
    let system = kernel.unrecorded
    _ = system.setClientCapability(node, ClientCapability.universalPlanes, 1)
    let formats = ((try? system.kmsPlanes(node).get()) ?? []).flatMap { plane in
      (try? system.kmsPlane(node, id: plane).get())?.formats ?? []
    }
    guard formats.contains(Fourcc.nv12.rawValue) else {
      throw .skipped("\(subject.name) shows no format of two planes")
    }
    let layout = try prepare(kernel.createDumb(node, width: 64, height: 96))
    var request = ProbeFramebuffer(
      width: 64, height: 64, fourcc: Fourcc.nv12.rawValue, handle: layout.handle, pitch: layout.pitch)
    request.handles[1] = layout.handle
    request.pitches[1] = layout.pitch
    request.offsets[1] = layout.pitch * 64
    return request
  }
}
