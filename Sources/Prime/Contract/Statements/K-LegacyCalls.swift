internal import Prime

extension Contract {
  /// The calls from before atomic mode setting.
  static let legacyCalls: [Statement] = [
    Statement(
      "K30", .core, on: .display, "SETCRTC refuses what is not there, and a picture that ends before the screen does",
      needs: [.master], source: "drm_crtc.c:drm_mode_setcrtc"
    ) { check in
      let display = try check.display(isAtomic: false)
      let picture = try check.picture(on: display)
      let good = ProbeCRTC(framebuffer: picture.framebuffer, mode: display.mode.bytes)
      func set(_ state: ProbeCRTC, on crtc: UInt32? = nil, connectors: [UInt32]? = nil) -> CallResult<Int> {
        check.kernel.setCRTC(
          display.node, crtc ?? display.crtc, state, connectors: connectors ?? [display.connector])
      }
      check.expect(set(ProbeCRTC(framebuffer: 0x7fff_fff0, mode: good.mode)), fails: .noSuchFile)
      check.expect(set(good, on: 0x7fff_fff0), fails: .noSuchFile)
      check.expect(set(good, connectors: []), fails: .invalidArgument)
      check.expect(set(ProbeCRTC(framebuffer: good.framebuffer, x: 1, mode: good.mode)), fails: .noSpace)
      check.expect(set(ProbeCRTC(framebuffer: good.framebuffer, y: 1, mode: good.mode)), fails: .noSpace)
      try check.expect(set(good))
      let shown = try check.expect(check.kernel.crtc(display.node, display.crtc))
      check.expect("the framebuffer on screen", shown.framebuffer, is: picture.framebuffer)
    },
    Statement(
      "K31", .core, on: .display,
      "PAGE_FLIP refuses unknown flags and framebuffers, another format, and a CRTC that shows nothing",
      needs: [.master], source: "drm_plane.c:drm_mode_page_flip_ioctl"
    ) { check in
      let display = try check.display(isAtomic: false)
      let picture = try check.picture(on: display)
      func flip(_ framebuffer: UInt32, flags: UInt32 = CommitFlags.event) -> CallResult<Int> {
        check.kernel.pageFlip(display.node, crtc: display.crtc, framebuffer: framebuffer, flags: flags)
      }
      check.expect(flip(picture.framebuffer), fails: .busy)
      let shown = try check.shownPicture(on: display)
      check.expect(flip(picture.framebuffer, flags: 1 << 8), fails: .invalidArgument)
      check.expect(flip(0x7fff_fff0), fails: .noSuchFile)
      let request = display.request(handle: shown.handle, pitch: shown.pitch)
      let others = [Fourcc.argb8888, .bgrx8888, .rgb565].lazy.compactMap { fourcc in
        try? check.kernel.addFramebuffer(display.node, request.with(\.fourcc, fourcc.rawValue)).get()
      }
      guard let other = others.first else {
        return check.note("it makes framebuffers of one format only, so that another one was not looked at")
      }
      check.expect(flip(other), fails: .invalidArgument)
    },
    Statement(
      "K32", .exporterSpecific, on: .display,
      "DIRTYFB is done or not there (ENOSYS), and wants an address for its clips",
      needs: [.master], source: "drm_framebuffer.c:drm_mode_dirtyfb_ioctl"
    ) { check in
      let display = try check.display(isAtomic: false)
      let picture = try check.shownPicture(on: display)
      check.expect(check.kernel.dirtyFramebuffer(display.node, 0x7fff_fff0), fails: .noSuchFile)
      check.expect(
        check.kernel.dirtyFramebuffer(display.node, picture.framebuffer, clipCount: 1), fails: .invalidArgument)
      let whole = check.kernel.dirtyFramebuffer(display.node, picture.framebuffer)
      check.expect(
        "DRM_IOCTL_MODE_DIRTYFB", [.success(0), .failure(.notImplemented)].contains(whole), "success or ENOSYS",
        got: KernelProbe.text(of: whole))
    },
  ]
}
