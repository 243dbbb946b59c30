internal import Prime

extension Contract {
  /// K: master, atomic commits, flips, fences on scanout.
  static let modeSetting: [Statement] =
    (masterStatements + atomicRequests + atomicStates + flips + legacyCalls).sorted { $0.id < $1.id }

  /// Who may set modes.
  private static let masterStatements: [Statement] = [
    Statement(
      "K01", .core, on: .display, "only the master sets modes", needs: [.master, .atomic],
      source: "drm_ioctl.c:drm_ioctl_permit (DRM_MASTER)"
    ) { check in
      let display = try check.display()
      let picture = try check.shownPicture(on: display)
      let other = try check.openDevice()
      for capability in [ClientCapability.universalPlanes, ClientCapability.atomic] {
        _ = try check.prepare(check.kernel.setClientCapability(other, capability, 1))
      }
      let state = ProbeCRTC(framebuffer: picture.framebuffer, mode: display.mode.bytes)
      check.expect(
        check.kernel.setCRTC(other, display.crtc, state, connectors: [display.connector]), fails: .permissionDenied)
      check.expect(
        check.kernel.pageFlip(other, crtc: display.crtc, framebuffer: picture.framebuffer), fails: .permissionDenied)
      check.expect(
        check.kernel.commit(other, try display.showing(picture.framebuffer), flags: 0), fails: .permissionDenied)
    },
    Statement(
      "K02", .core, on: .display, "there is one master at a time", needs: [.master, .root],
      source: "drm_auth.c:drm_setmaster_ioctl"
    ) { check in
      _ = try check.masterNode()
      check.expect(check.kernel.setMaster(try check.openDevice()), fails: .busy)
    },
    Statement(
      "K03", .core, on: .display, "who is not master cannot stop being it", needs: [.master, .root],
      source: "drm_auth.c:drm_dropmaster_ioctl"
    ) { check in
      let node = try check.openDevice()
      check.expect(check.kernel.dropMaster(node), fails: .invalidArgument)
    },
    Statement(
      "K04", .core, on: .display, "who is master may ask to be", needs: [.master],
      source: "drm_auth.c:drm_setmaster_ioctl"
    ) { check in
      let node = try check.masterNode()
      try check.expect(check.kernel.setMaster(node))
      try check.expect(check.kernel.setMaster(node))
    },
    Statement(
      "K05", .core, on: .display, "who never was master needs privileges to become it, and to stop",
      needs: [.master, .unprivilegedUser], source: "drm_auth.c:drm_master_check_perm"
    ) { check in
      _ = try check.masterNode()
      let other = try check.openDevice()
      try check.unprivileged {
        check.expect(check.kernel.setMaster(other), fails: .permissionDenied)
        check.expect(check.kernel.dropMaster(other), fails: .permissionDenied)
      }
    },
    Statement(
      "K06", .core, on: .display, "the first to open the node is its master, privileged or not, and may come back",
      needs: [.master, .unprivilegedUser], source: "drm_auth.c:drm_master_open, drm_master_check_perm"
    ) { check in
      guard let path = check.subject.device?.primary?.path else { return }
      try check.unprivileged {
        let node = try check.prepare(check.kernel.open(path, flags: 2))
        try check.expect(check.kernel.dropMaster(node))
        try check.expect(check.kernel.setMaster(node))
      }
    },
  ]
}
