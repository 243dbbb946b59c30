internal import Prime

extension Contract {
  /// How long framebuffers live, who may see them, and what becomes of the screen.
  static let framebufferLives: [Statement] = [
    Statement(
      "J15", .core, on: .display, "the buffer's handle may be closed at once: the framebuffer keeps the buffer",
      needs: [.master], source: "drm_gem_framebuffer_helper.c (a framebuffer holds a reference to its objects)"
    ) { check in
      let node = try check.masterNode()
      let layout = try check.prepare(check.kernel.createDumb(node, width: 64, height: 64))
      let byteCount = Int(layout.byteCount)
      let request = ProbeFramebuffer(
        width: 64, height: 64, fourcc: try check.pictureFormat(), handle: layout.handle, pitch: layout.pitch)
      let framebuffer = try check.prepare(check.kernel.addFramebuffer(node, request))
      let before = try check.dumbMapping(node, handle: layout.handle, byteCount: byteCount)
      let bytes: [UInt8] = [0x70, 0x72, 0x69, 0x6d]
      check.kernel.write(bytes, to: before, at: 0)
      _ = try check.prepare(check.kernel.unmap(before))
      try check.expect(check.kernel.closeHandle(node, layout.handle))
      let kept = try check.expect(check.kernel.framebuffer(node, framebuffer))
      let after = try check.dumbMapping(node, handle: kept.handles[0], byteCount: byteCount)
      check.expect("the buffer's first bytes", check.kernel.bytes(of: after, at: 0, count: 4), is: bytes)
    },
    Statement(
      "J16", .core, on: .display, "only an own framebuffer can be removed, and once",
      source: "drm_framebuffer.c:drm_mode_rmfb"
    ) { check in
      let (node, good) = try check.framebufferRequest()
      let id = try check.prepare(check.kernel.addFramebuffer(node, good))
      let other = try check.openDevice()
      check.expect(check.kernel.removeFramebuffer(node, 0x7fff_fff0), fails: .noSuchFile)
      check.expect(check.kernel.removeFramebuffer(other, id), fails: .noSuchFile)
      try check.expect(check.kernel.removeFramebuffer(node, id))
      check.expect(check.kernel.removeFramebuffer(node, id), fails: .noSuchFile)
    },
    Statement(
      "J17", .core, on: .display, "removing the framebuffer on screen takes it off the screen", needs: [.master],
      source: "drm_framebuffer.c:drm_framebuffer_remove, atomic_remove_fb"
    ) { check in
      let display = try check.display(isAtomic: false)
      let picture = try check.shownPicture(on: display)
      let before = try check.expect(check.kernel.crtc(display.node, display.crtc))
      check.expect("the framebuffer on screen", before.framebuffer, is: picture.framebuffer)
      try check.expect(check.kernel.removeFramebuffer(display.node, picture.framebuffer))
      let after = try check.expect(check.kernel.crtc(display.node, display.crtc))
      check.expect("the framebuffer on screen", after.framebuffer, is: 0)
    },
    Statement(
      "J18", .core, on: .display, "CLOSEFB leaves the framebuffer on screen", needs: [.master, .kernel(6, 8)],
      source: "drm_framebuffer.c:drm_mode_closefb_ioctl"
    ) { check in
      let display = try check.display(isAtomic: false)
      let picture = try check.shownPicture(on: display)
      check.expect(
        check.kernel.closeFramebuffer(display.node, picture.framebuffer, pad: 1), fails: .invalidArgument)
      try check.expect(check.kernel.closeFramebuffer(display.node, picture.framebuffer))
      let after = try check.expect(check.kernel.crtc(display.node, display.crtc))
      check.expect("the framebuffer on screen", after.framebuffer, is: picture.framebuffer)
      check.expect("the CRTC", after.mode != nil, "on", got: "off")
    },
    Statement(
      "J19", .core, on: .display, "GETFB2 knows no unknown framebuffer",
      source: "drm_framebuffer.c:drm_mode_getfb2_ioctl"
    ) { check in
      let node = try check.openDevice()
      check.expect(check.kernel.framebuffer(node, 0x7fff_fff0), fails: .noSuchFile)
    },
    Statement(
      "J20", .core, on: .shownPair,
      "GETFB2 gives the master, and root, a fresh handle of the very buffer that was imported",
      needs: [.master], source: "drm_framebuffer.c:drm_mode_getfb2_ioctl"
    ) { check in
      let buffer = try check.takenBuffer()
      let original = try check.prepare(check.kernel.status(buffer.dmaBuf))
      let master = try check.masterNode()
      let imported = try check.prepare(check.kernel.primeFDToHandle(master, buffer.dmaBuf))
      let request = ProbeFramebuffer(of: buffer, as: try check.pictureFormat(), handle: imported)
      let id = try check.prepare(check.kernel.addFramebuffer(master, request))
      // Who is neither master nor root gets none (J21).
      let others = check.machine.isRoot ? [try check.openDevice()] : []
      if others.isEmpty { check.note("only the master was looked at, since this is not root") }
      for node in [master] + others {
        let seen = try check.expect(check.kernel.framebuffer(node, id))
        check.expect("the handle", seen.handles[0] != 0, "above 0", got: "0")
        if node == master {
          check.expect("the handle", seen.handles[0] != imported, "a fresh one", got: "the importer's own")
        }
        let again = try check.expect(
          check.kernel.primeHandleToFD(node, handle: seen.handles[0], flags: PrimeFlags.closeOnExec))
        check.expect("the inode", try check.expect(check.kernel.status(again)).inode, is: original.inode)
      }
    },
    Statement(
      "J21", .core, on: .display, "GETFB2 tells others the geometry and gives no handle", needs: [.unprivilegedUser],
      source: "drm_framebuffer.c:drm_mode_getfb2_ioctl"
    ) { check in
      let (node, good) = try check.framebufferRequest()
      let id = try check.prepare(check.kernel.addFramebuffer(node, good))
      let seen = try check.unprivileged {
        try check.expect(check.kernel.framebuffer(node, id))
      }
      check.expect("the handles", seen.handles, is: [0, 0, 0, 0])
      check.expect("the size", [seen.width, seen.height], is: [good.width, good.height])
      check.expect("the format", seen.fourcc, is: good.fourcc)
      check.expect("the pitch", seen.pitches[0], is: good.pitches[0])
    },
    Statement(
      "J24", .core, on: .display, "closing the last descriptor of an open file takes its framebuffers off the screen",
      needs: [.master], source: "drm_framebuffer.c:drm_fb_release"
    ) { check in
      let observer = try check.openDevice()
      let display = try check.display(isAtomic: false)
      let picture = try check.shownPicture(on: display)
      let before = try check.expect(check.kernel.crtc(observer, display.crtc))
      check.expect("the framebuffer on screen", before.framebuffer, is: picture.framebuffer)
      try check.expect(check.kernel.close(display.node))
      let after = try check.expect(check.kernel.crtc(observer, display.crtc))
      check.expect("the framebuffer on screen", after.framebuffer, is: 0)
    },
  ]
}

extension Check {
  /// A dumb buffer's mapping through its device.
  func dumbMapping(_ node: CInt, handle: UInt32, byteCount: Int) throws(Statement.Stop) -> ProbeMapping {
    let offset = try prepare(kernel.mapDumb(node, handle: handle))
    return try prepare(kernel.map(node, byteCount: byteCount, offset: offset))
  }
}
