internal import Prime

extension Contract {
  /// What the ATOMIC ioctl takes and refuses before it looks at the state.
  static let atomicRequests: [Statement] = [
    Statement(
      "K07", .core, on: .display, "the client capabilities come first: atomic, and writeback connectors after it",
      needs: [.master, .atomic], source: "drm_atomic_uapi.c:drm_mode_atomic_ioctl; drm_ioctl.c:drm_setclientcap"
    ) { check in
      let node = try check.masterNode()
      check.expect(check.kernel.commit(node, [], flags: CommitFlags.testOnly), fails: .invalidArgument)
      check.expect(
        check.kernel.setClientCapability(node, ClientCapability.writebackConnectors, 1), fails: .invalidArgument)
    },
    Statement(
      "K08", .core, on: .display, "unknown flags, a reserved field that is not 0, and an event of a test are refused",
      needs: [.master, .atomic], source: "drm_atomic_uapi.c:drm_mode_atomic_ioctl"
    ) { check in
      let node = try check.masterNode(isAtomic: true)
      check.expect(check.kernel.commit(node, [], flags: 1 << 15), fails: .invalidArgument)
      check.expect(
        check.kernel.commit(node, [], flags: CommitFlags.testOnly, reserved: 1), fails: .invalidArgument)
      let both = CommitFlags.testOnly | CommitFlags.event
      check.expect(check.kernel.commit(node, [], flags: both), fails: .invalidArgument)
    },
    Statement(
      "K09", .core, on: .display, "an event needs a CRTC", needs: [.master, .atomic],
      source: "drm_atomic_uapi.c:prepare_signaling"
    ) { check in
      let node = try check.masterNode(isAtomic: true)
      check.expect(check.kernel.commit(node, [], flags: CommitFlags.event), fails: .invalidArgument)
    },
    Statement(
      "K10", .core, on: .display, "testing nothing succeeds", needs: [.master, .atomic],
      source: "drm_atomic_uapi.c:drm_mode_atomic_ioctl"
    ) { check in
      let node = try check.masterNode(isAtomic: true)
      try check.expect(check.kernel.commit(node, [], flags: CommitFlags.testOnly))
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
      let (plane, crtc) = (display.plane, display.crtc)
      func tested(_ object: UInt32, _ name: String, _ value: UInt64) throws(Statement.Stop) -> CallResult<Int> {
        check.kernel.commit(display.node, [try display.set(object, name, value)], flags: CommitFlags.testOnly)
      }
      // Nobody looks at where a plane is that shows nothing, so what is refused is not in the property's range.
      for (name, last): (String, UInt64) in [
        ("SRC_W", UInt64(UInt32.max)), ("CRTC_W", UInt64(Int32.max)), ("CRTC_X", UInt64(Int32.max)),
      ] {
        check.expectSuccess(try tested(plane, name, last))
        check.expect(try tested(plane, name, last + 1), fails: .invalidArgument)
      }
      // What the display shows is what each of these may be.
      let picture = try check.shownPicture(on: display)
      for (object, name, good, bad): (UInt32, String, UInt64, UInt64) in [
        (plane, "FB_ID", UInt64(picture.framebuffer), 0x7fff_fff0), (plane, "CRTC_ID", UInt64(crtc), 0x7fff_fff0),
        (crtc, "ACTIVE", 1, 2),
      ] {
        check.expectSuccess(try tested(object, name, good))
        check.expect(try tested(object, name, bad), fails: .invalidArgument)
      }
      // Which it is.
      check.expect(try tested(plane, "type", PlaneType.primary), fails: .invalidArgument)
    },
    Statement(
      "K24", .core, on: .display, "IN_FENCE_FD can be set once in a request",
      needs: [.master, .atomic, .syncFiles], source: "drm_atomic_uapi.c:drm_atomic_plane_set_property"
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
      check.expect(try tested(check.idleBuffer().dmaBuf), fails: .invalidArgument)
    },
    Statement(
      "K29", .core, on: .display, "OUT_FENCE_PTR must be an address; there is no fence of a test or a failure",
      needs: [.master, .atomic], source: "drm_atomic_uapi.c:setup_out_fence, complete_signaling"
    ) { check in
      let display = try check.display()
      let picture = try check.shownPicture(on: display)
      let showing = try display.showing(picture.framebuffer)
      // No descriptor has such a number, so that what the kernel left alone is not taken for one of ours.
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
