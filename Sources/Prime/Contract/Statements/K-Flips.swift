internal import Glibc
internal import Prime
internal import PrimeProcesses

extension Contract {
  /// Flips, and what they wait for.
  static let flips: [Statement] = [
    Statement(
      "K19", .core, on: .display, "a nonblocking flip tells once when it is done, with the user data and the CRTC",
      needs: [.master, .atomic], source: "drm_atomic_uapi.c:create_vblank_event"
    ) { check in
      let display = try check.display()
      _ = try check.shownPicture(on: display)
      let next = try check.picture(on: display)
      try check.expect(
        check.kernel.commit(
          display.node, try display.showing(next.framebuffer), flags: CommitFlags.nonblocking | CommitFlags.event,
          userData: 0x1234_5678_9abc_def0))
      try check.expectFlip(on: display, userData: 0x1234_5678_9abc_def0)
      try check.expectNoEvent(on: display, for: 50)
    },
    Statement(
      "K20", .core, on: .display, "a second flip has to wait until the first is done",
      needs: [.master, .atomic, .vgem, .syncFiles],
      source: "drm_atomic_helper.c:drm_atomic_helper_setup_commit; drm_plane.c:drm_mode_page_flip_ioctl"
    ) { check in
      let display = try check.display()
      let shown = try check.shownPicture(on: display)
      let next = try check.picture(on: display)
      let fence = try check.pendingFence()
      let flags = CommitFlags.nonblocking | CommitFlags.event
      let waiting =
        try display.showing(next.framebuffer) + [
          try display.waiting(for: check.prepare(fence.syncFile()))
        ]
      try check.expect(check.kernel.commit(display.node, waiting, flags: flags, userData: 1))
      let back = try display.showing(shown.framebuffer)
      check.expect(check.kernel.commit(display.node, back, flags: flags, userData: 2), fails: .busy)
      check.expect(
        check.kernel.pageFlip(display.node, crtc: display.crtc, framebuffer: shown.framebuffer), fails: .busy)
      _ = try check.prepare(fence.signal())
      try check.expectFlip(on: display, userData: 1)
      try check.expect(check.kernel.commit(display.node, back, flags: flags, userData: 3))
      try check.expectFlip(on: display, userData: 3)
    },
    Statement(
      "K21", .helper, of: .surely(.shmem, .dma, .vram), on: .display,
      "a flip to a buffer that another device still writes returns at once and is done when that one is",
      needs: [.master, .atomic, .vgem],
      source: "drm_gem_atomic_helper.c:drm_gem_plane_helper_prepare_fb; drm_atomic_helper_wait_for_fences"
    ) { check in
      let display = try check.display()
      _ = try check.shownPicture(on: display)
      let usual = try check.flipTime(on: display)
      let (picture, fence) = try check.fencedPicture(.write, on: display)
      try check.expectHeldFlip(on: display, to: display.showing(picture.framebuffer), for: usual, until: fence)
    },
    Statement(
      "K22", .helper, of: .surely(.shmem, .dma, .vram), on: .display,
      "a flip does not wait for those who read the buffer",
      needs: [.master, .atomic, .vgem],
      source: "drm_gem_atomic_helper.c:drm_gem_plane_helper_prepare_fb (DMA_RESV_USAGE_WRITE)"
    ) { check in
      let display = try check.display()
      _ = try check.shownPicture(on: display)
      let (picture, fence) = try check.fencedPicture(.read, on: display)
      try check.expectFreeFlip(on: display, to: display.showing(picture.framebuffer), beside: fence)
    },
    Statement(
      "K25", .helper, of: .surely(.shmem, .dma, .vram), on: .display,
      "an explicit fence takes the place of those on the buffer",
      needs: [.master, .atomic, .vgem, .syncFiles],
      source: "drm_gem_atomic_helper.c:drm_gem_plane_helper_prepare_fb"
    ) { check in
      let display = try check.display()
      _ = try check.shownPicture(on: display)
      let (picture, fence) = try check.fencedPicture(.write, on: display)
      let explicit = try display.waiting(for: check.signalledSyncFile())
      try check.expectFreeFlip(on: display, to: display.showing(picture.framebuffer) + [explicit], beside: fence)
    },
    Statement(
      "K26", .core, on: .display, "an explicit fence holds a flip back, also when its descriptor is closed",
      needs: [.master, .atomic, .vgem, .syncFiles],
      source: "drm_gem_atomic_helper.c:drm_gem_plane_helper_prepare_fb; drm_atomic_helper_wait_for_fences"
    ) { check in
      let display = try check.display()
      _ = try check.shownPicture(on: display)
      let usual = try check.flipTime(on: display)
      let picture = try check.picture(on: display)
      let fence = try check.pendingFence()
      let syncFile = try check.prepare(fence.syncFile())
      let explicit = try display.waiting(for: syncFile)
      try check.expectHeldFlip(
        on: display, to: display.showing(picture.framebuffer) + [explicit], closing: syncFile, for: usual, until: fence)
    },
    Statement(
      "K27", .helper, of: .surely(.shmem, .dma, .vram), on: .display,
      "a signal ends a commit that waits for a fence, and nothing is changed",
      needs: [.master, .atomic, .vgem, .syncFiles],
      source: "drm_atomic_helper.c:drm_atomic_helper_commit (the wait before the states are swapped)"
    ) { check in
      let display = try check.display()
      let shown = try check.shownPicture(on: display)
      let picture = try check.picture(on: display)
      let fence = try check.pendingFence()
      let waiting =
        try display.showing(picture.framebuffer) + [
          try display.waiting(for: check.prepare(fence.syncFile()))
        ]
      Interruptions.arm(restarting: false)
      let kernel = check.kernel
      let commit = try check.background { kernel.commit(display.node, waiting, flags: 0, restarting: false) }
      check.expect("the commit", commit.result(within: .milliseconds(200)) == nil, "blocked", got: "an answer")
      // On a busy machine the thread may not have come to its call yet, and a signal before it interrupts nothing.
      let deadline = Deadline(in: .seconds(8))
      var ended: CallResult<Int>?
      while ended == nil, deadline.remaining > .zero {
        commit.interrupt()
        ended = commit.result(within: .milliseconds(500))
      }
      guard let answer = ended else {
        return check.expect("the commit", false, "an end", got: "still blocked, 8 s after the first signal")
      }
      check.expect(answer, fails: .interrupted)
      let framebuffer = try check.expect(display.shownFramebuffer())
      check.expect("the plane's framebuffer", framebuffer, is: UInt64(shown.framebuffer))
      try check.expect(fence.signal())
    },
    Statement(
      "K28", .helper, of: .surely(.shmem, .dma, .vram), on: .display,
      "the older PAGE_FLIP waits for the fences of the buffer too",
      needs: [.master, .atomic, .vgem], source: "drm_atomic_helper.c:drm_atomic_helper_page_flip"
    ) { check in
      let display = try check.display()
      _ = try check.shownPicture(on: display)
      let usual = try check.flipTime(on: display)
      let (picture, fence) = try check.fencedPicture(.write, on: display)
      try check.expect(
        check.kernel.pageFlip(display.node, crtc: display.crtc, framebuffer: picture.framebuffer, userData: 28))
      try check.expectNoEvent(on: display, for: usual)
      try check.expect(fence.signal())
      try check.expectFlip(on: display, userData: 28)
    },
  ]
}

extension Check {
  /// How long a flip is watched for not happening, in milliseconds: several times as long as one that nothing holds back takes.
  ///
  /// At least as long as many frames of any display, and at most a part of a fence's ten seconds.
  fileprivate func flipTime(on display: DisplayFixture) throws(Statement.Stop) -> Int32 {
    let picture = try picture(on: display)
    let start = ContinuousClock.now
    _ = try prepare(
      kernel.commit(
        display.node, try display.showing(picture.framebuffer), flags: CommitFlags.nonblocking | CommitFlags.event))
    guard try prepare(kernel.poll(display.node, events: Int16(POLLIN), milliseconds: 10000)) != 0 else {
      throw .broken("a flip that nothing holds back is not done within ten seconds")
    }
    let time = ContinuousClock.now - start
    _ = try prepare(kernel.read(display.node, byteCount: 1024))
    return min(max(Int32(time * 4 / .milliseconds(1)), 150), 3000)
  }

  /// Expects that a nonblocking flip is accepted, is not done before the fence is signalled, and is then.
  func expectHeldFlip(
    on display: DisplayFixture, to assignments: [KMSAssignment], closing descriptor: CInt? = nil,
    for milliseconds: Int32, until fence: PendingFence
  ) throws(Statement.Stop) {
    let outFence = try sendFlip(on: display, to: assignments)
    if let descriptor { _ = try prepare(kernel.close(descriptor)) }
    try expectNoEvent(on: display, for: milliseconds)
    let early = try expect(kernel.poll(outFence, events: Int16(POLLIN), milliseconds: 0))
    expect("the out-fence before the signal", early, is: 0)
    // It fails where vgem's own ten seconds were over: then the flip was not nonblocking.
    try expect(fence.signal())
    let late = try expect(kernel.poll(outFence, events: Int16(POLLIN), milliseconds: 10000))
    expect("the out-fence after the signal", late, is: Int16(POLLIN))
    try expectFlip(on: display, userData: 21)
  }

  /// Expects that a nonblocking flip is done while a fence that it has no need to wait for is pending.
  func expectFreeFlip(
    on display: DisplayFixture, to assignments: [KMSAssignment], beside fence: PendingFence
  ) throws(Statement.Stop) {
    let outFence = try sendFlip(on: display, to: assignments)
    try expectFlip(on: display, userData: 21, within: fence.remainingMilliseconds)
    let ready = try expect(kernel.poll(outFence, events: Int16(POLLIN), milliseconds: 1000))
    expect("the out-fence", ready, is: Int16(POLLIN))
    // It is still pending, and not over its ten seconds.
    try expect(fence.signal())
  }

  private func sendFlip(
    on display: DisplayFixture, to assignments: [KMSAssignment]
  ) throws(Statement.Stop) -> CInt {
    let place = kernel.memory([UInt32.max])
    let outFence = try display.set(display.crtc, "OUT_FENCE_PTR", place.address)
    try expect(
      kernel.commit(
        display.node, assignments + [outFence], flags: CommitFlags.nonblocking | CommitFlags.event, userData: 21))
    let descriptor = try expect(kernel.descriptor(in: place))
    expect("the out-fence", descriptor >= 0, "a descriptor", got: "\(descriptor)")
    guard descriptor >= 0 else { throw .failed }
    return descriptor
  }
}
