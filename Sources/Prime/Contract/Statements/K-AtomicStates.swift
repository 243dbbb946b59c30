internal import Prime

extension Contract {
  /// Which states a commit may lead to.
  static let atomicStates: [Statement] = [
    Statement(
      "K13", .core, on: .display, "a test changes nothing", needs: [.master, .atomic],
      source: "drm_atomic_uapi.c:drm_mode_atomic_ioctl"
    ) { check in
      let display = try check.display()
      let shown = try check.shownPicture(on: display)
      let other = try check.picture(on: display)
      let before = try check.expect(display.state())
      try check.expect(
        check.kernel.commit(display.node, try display.showing(other.framebuffer), flags: CommitFlags.testOnly))
      let after = try check.expect(display.state())
      check.expect("the state", after == before, "as before", got: "\(after), and before \(before)")
      let framebuffer = try check.expect(display.shownFramebuffer())
      check.expect("the plane's framebuffer", framebuffer, is: UInt64(shown.framebuffer))
    },
    Statement(
      "K14", .core, on: .display, "a modeset needs ALLOW_MODESET", needs: [.master, .atomic],
      source: "drm_atomic.c:drm_atomic_check_only"
    ) { check in
      let display = try check.display()
      let picture = try check.picture(on: display)
      let mode = try check.prepare(check.kernel.createBlob(display.node, display.mode.bytes))
      let lighting = try display.lighting(picture.framebuffer, mode: mode)
      check.expect(check.kernel.commit(display.node, lighting, flags: 0), fails: .invalidArgument)
      try check.expect(check.kernel.commit(display.node, lighting, flags: CommitFlags.allowModeset))
      let framebuffer = try check.expect(display.shownFramebuffer())
      check.expect("the plane's framebuffer", framebuffer, is: UInt64(picture.framebuffer))
    },
    Statement(
      "K15", .core, on: .display, "a plane has a framebuffer and a CRTC, or neither", needs: [.master, .atomic],
      source: "drm_atomic.c:drm_atomic_plane_check"
    ) { check in
      let display = try check.display()
      let showing = try display.showing(check.shownPicture(on: display).framebuffer)
      for name in ["CRTC_ID", "FB_ID"] {
        let half = showing + [try display.set(display.plane, name, 0)]
        check.expect(
          check.kernel.commit(display.node, half, flags: CommitFlags.testOnly), fails: .invalidArgument)
      }
    },
    Statement(
      "K16", .core, on: .display, "a plane fetches from inside its framebuffer", needs: [.master, .atomic],
      source: "drm_framebuffer.c:drm_framebuffer_check_src_coords"
    ) { check in
      let display = try check.display()
      let showing = try display.showing(check.shownPicture(on: display).framebuffer)
      // Source rectangles are in 65536ths of a pixel.
      for outside in [
        try display.set(display.plane, "SRC_X", 1 << 16), try display.set(display.plane, "SRC_Y", 1 << 16),
        try display.set(display.plane, "SRC_W", UInt64(display.width + 1) << 16),
        try display.set(display.plane, "SRC_H", UInt64(display.height + 1) << 16),
      ] {
        check.expect(
          check.kernel.commit(display.node, showing + [outside], flags: CommitFlags.testOnly), fails: .noSpace)
      }
    },
    Statement(
      "K17", .core, on: .display, "a plane does not end behind the last number", needs: [.master, .atomic],
      source: "drm_atomic.c:drm_atomic_plane_check"
    ) { check in
      let display = try check.display()
      let showing = try display.showing(check.shownPicture(on: display).framebuffer)
      for name in ["CRTC_X", "CRTC_Y"] {
        let behind = try display.set(display.plane, name, UInt64(Int32.max))
        check.expect(
          check.kernel.commit(display.node, showing + [behind], flags: CommitFlags.testOnly), fails: .outOfRange)
      }
    },
    Statement(
      "K18", .helper, on: .display, "a plane that cannot scale says so", needs: [.master, .atomic],
      source: "drm_atomic_helper.c:drm_atomic_helper_check_plane_state"
    ) { check in
      let display = try check.display()
      let showing = try display.showing(check.shownPicture(on: display).framebuffer)
      let half = [
        try display.set(display.plane, "CRTC_W", UInt64(display.width / 2)),
        try display.set(display.plane, "CRTC_H", UInt64(display.height / 2)),
      ]
      let answer = check.kernel.commit(display.node, showing + half, flags: CommitFlags.testOnly)
      if case .success = answer, check.kernel.alteredCall == nil, !check.isKnownToDeviate(in: "K18") {
        throw Statement.Stop.skipped("the primary plane of \(check.subject.name) scales")
      }
      check.expect(answer, fails: .outOfRange)
    },
  ]
}
