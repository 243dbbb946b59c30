extension Contract {
  /// What the ATOMIC ioctl takes and refuses before it looks at the state.
  static let atomicRequests: [Statement] = [
    Statement(
      "K07", .core, on: .display, "the client capabilities come first: atomic, and writeback connectors after it",
      needs: [.master, .atomic], source: "drm_atomic_uapi.c:drm_mode_atomic_ioctl; drm_ioctl.c:drm_setclientcap"
    ) { check in
      let display = try check.display(isAtomic: false)
      check.expect(check.kernel.commit(display.node, [], flags: CommitFlags.testOnly), fails: .invalidArgument)
      // DRM_CLIENT_CAP_WRITEBACK_CONNECTORS
      check.expect(check.kernel.setClientCapability(display.node, 5, 1), fails: .invalidArgument)
    },
    Statement(
      "K08", .core, on: .display, "unknown flags, a reserved field that is not 0, and an event of a test are refused",
      needs: [.master, .atomic], source: "drm_atomic_uapi.c:drm_mode_atomic_ioctl"
    ) { check in
      let display = try check.display()
      check.expect(check.kernel.commit(display.node, [], flags: 1 << 15), fails: .invalidArgument)
      check.expect(
        check.kernel.commit(display.node, [], flags: CommitFlags.testOnly, reserved: 1), fails: .invalidArgument)
      let both = CommitFlags.testOnly | CommitFlags.event
      check.expect(check.kernel.commit(display.node, [], flags: both), fails: .invalidArgument)
    },
    Statement(
      "K09", .core, on: .display, "an event needs a CRTC", needs: [.master, .atomic],
      source: "drm_atomic_uapi.c:prepare_signaling"
    ) { check in
      let display = try check.display()
      check.expect(check.kernel.commit(display.node, [], flags: CommitFlags.event), fails: .invalidArgument)
    },
    Statement(
      "K10", .core, on: .display, "testing nothing succeeds", needs: [.master, .atomic],
      source: "drm_atomic_uapi.c:drm_mode_atomic_ioctl"
    ) { check in
      let display = try check.display()
      try check.expect(check.kernel.commit(display.node, [], flags: CommitFlags.testOnly))
    },
    Statement(
      "K11", .core, on: .display, "unknown objects and properties, and those of another kind of object, are not found",
      needs: [.master, .atomic], source: "drm_atomic_uapi.c:drm_mode_atomic_ioctl (drm_mode_obj_find_prop_id)"
    ) { check in
      let display = try check.display()
      let framebuffers = try display.property(display.plane, "FB_ID")
      for (object, property): (UInt32, UInt32) in [
        (0x7fff_fff0, framebuffers), (display.plane, 0x7fff_fff0), (display.crtc, framebuffers),
      ] {
        let assignment = KMSAssignment(object: object, property: property, value: 0)
        check.expect(
          check.kernel.commit(display.node, [assignment], flags: CommitFlags.testOnly), fails: .noSuchFile)
      }
    },
    Statement(
      "K12", .core, on: .display, "a value that a property cannot have is refused, and any value of an immutable one",
      needs: [.master, .atomic], source: "drm_property.c:drm_property_change_valid_get"
    ) { check in
      let display = try check.display()
      // A display that is lit: whatever is refused is refused for its value.
      _ = try check.shownPicture(on: display)
      let flags = CommitFlags.testOnly | CommitFlags.allowModeset
      for assignment in [
        try display.set(display.plane, "FB_ID", 0x7fff_fff0), try display.set(display.plane, "CRTC_ID", 0x7fff_fff0),
        try display.set(display.crtc, "ACTIVE", 2), try display.set(display.plane, "SRC_W", 1 << 32),
        try display.set(display.plane, "type", 1),
      ] {
        check.expect(check.kernel.commit(display.node, [assignment], flags: flags), fails: .invalidArgument)
      }
    },
    Statement(
      "K24", .core, on: .display, "IN_FENCE_FD can be set once in a request",
      needs: [.master, .atomic, .vgem, .syncFiles],
      source: "drm_atomic_uapi.c:drm_atomic_plane_set_property"
    ) { check in
      let display = try check.display()
      let picture = try check.shownPicture(on: display)
      let fence = try display.waiting(for: check.signalledSyncFile())
      let once = try display.showing(picture.framebuffer) + [fence]
      try check.expect(check.kernel.commit(display.node, once, flags: CommitFlags.testOnly))
      check.expect(
        check.kernel.commit(display.node, once + [fence], flags: CommitFlags.testOnly), fails: .invalidArgument)
    },
    Statement(
      "K23", .core, on: .display, "IN_FENCE_FD takes sync_files, and -1 for none",
      needs: [.master, .atomic], source: "drm_atomic_uapi.c:drm_atomic_plane_set_property"
    ) { check in
      guard check.subject.device?.capabilities?.primeExport != false else {
        throw Statement.Stop.skipped("\(check.subject.name) exports nothing on this kernel, and says so")
      }
      let display = try check.display()
      let picture = try check.shownPicture(on: display)
      func tested(_ descriptor: CInt) throws(Statement.Stop) -> CallResult<Int> {
        let fence = try display.waiting(for: descriptor)
        return check.kernel.commit(
          display.node, try display.showing(picture.framebuffer) + [fence], flags: CommitFlags.testOnly)
      }
      try check.expect(tested(-1))
      let closed = try check.prepare(check.kernel.duplicate(display.node))
      _ = try check.prepare(check.kernel.close(closed))
      check.expect(try tested(closed), fails: .invalidArgument)
      check.expect(try tested(check.prepare(check.kernel.open("/dev/null", flags: 2))), fails: .invalidArgument)
      let dmaBuf = try check.prepare(
        check.kernel.primeHandleToFD(display.node, handle: picture.handle, flags: PrimeFlags.closeOnExec))
      check.expect(try tested(dmaBuf), fails: .invalidArgument)
    },
    Statement(
      "K29", .core, on: .display, "OUT_FENCE_PTR must be an address; there is no fence of a test or a failure",
      needs: [.master, .atomic], source: "drm_atomic_uapi.c:setup_out_fence, complete_signaling"
    ) { check in
      let display = try check.display()
      let picture = try check.shownPicture(on: display)
      let showing = try display.showing(picture.framebuffer)
      // No descriptor has such a number: what is found in its place is closed in the end.
      let untouched: UInt32 = 0x7fff_fff0
      let place = check.kernel.memory([untouched])
      let fence = try display.set(display.crtc, "OUT_FENCE_PTR", place.address)
      let nowhere = try display.set(display.crtc, "OUT_FENCE_PTR", 8)
      check.expect(check.kernel.commit(display.node, showing + [nowhere], flags: 0), fails: .badAddress)
      try check.expect(check.kernel.commit(display.node, showing + [fence], flags: CommitFlags.testOnly))
      check.expect("the fence of a test", try check.expect(check.kernel.descriptor(in: place)), is: -1)
      place.set(untouched, at: 0)
      let outside = try display.set(display.plane, "SRC_X", 1 << 16)
      check.expect(check.kernel.commit(display.node, showing + [outside, fence], flags: 0), fails: .noSpace)
      check.expect("the fence of a failure", try check.expect(check.kernel.descriptor(in: place)), is: -1)
      place.set(untouched, at: 0)
      try check.expect(check.kernel.commit(display.node, showing + [fence], flags: 0))
      let signalled = try check.expect(check.kernel.descriptor(in: place))
      let ready = try check.expect(check.kernel.poll(signalled, events: 1, milliseconds: 10000))
      check.expect("the fence of a commit", ready, is: 1)
    },
  ]
}
