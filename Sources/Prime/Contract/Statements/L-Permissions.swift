internal import Glibc
internal import Prime
internal import PrimeProcesses

extension Contract {
  /// L: nodes, capabilities, permissions.
  static let permissions: [Statement] = [
    Statement(
      "L01", .core, on: .device,
      "DRM_CAP_PRIME is IMPORT and EXPORT for every driver since Linux 6.6, so that it says nothing",
      source: "drm_ioctl.c:drm_getcap"
    ) { check in
      let device = try check.openDevice()
      let capability = try check.expect(check.kernel.capability(device, 5))
      if check.machine.kernelVersion.isAtLeast(6, 6) {
        check.expect("DRM_CAP_PRIME", capability, is: 3)
      } else {
        // Before, it is what the driver has: who exports says so.
        let exports = check.machine.subjects(.dumbDevice).contains { $0.device == check.subject.device }
        check.expect("DRM_CAP_PRIME", capability <= 3, "0 to 3", got: "\(capability)")
        check.expect("DRM_PRIME_CAP_EXPORT", capability & 2, is: exports ? 2 : capability & 2)
      }
    },
    Statement(
      "L02", .core, on: .device,
      "an unknown capability is EINVAL where the device sets modes, and EOPNOTSUPP where it does not",
      source: "drm_ioctl.c:drm_getcap"
    ) { check in
      let device = try check.openDevice()
      let setsModes = check.machine.subjects(.display).contains { $0.device == check.subject.device }
      check.expect(check.kernel.capability(device, 0x7fff), fails: setsModes ? .invalidArgument : .notSupported)
    },
    Statement(
      "L03", .core, on: .renderDevice, "a render node makes no dumb buffers, no names, no framebuffers and no modes",
      source: "drm_ioctl.c:drm_ioctl_permit"
    ) { check in
      guard let path = check.subject.device?.render?.path else { return }
      let render = try check.prepare(check.kernel.open(path, flags: O_RDWR))
      check.expect(check.kernel.createDumb(render, width: 64, height: 64), fails: .permissionDenied)
      check.expect(check.kernel.crtcCount(render), fails: .permissionDenied)
      check.expect(
        check.kernel.addFramebuffer(
          render, ProbeFramebuffer(width: 64, height: 64, fourcc: KernelProbe.xrgb8888, handle: 1, pitch: 256)),
        fails: .permissionDenied)
      check.expect(
        check.kernel.setClientCapability(render, ClientCapability.universalPlanes, 1), fails: .permissionDenied)
      check.expect(
        check.kernel.ioctl(render, .gemFlink, [1, 0], "handle 1") { $0.words[1] }, fails: .permissionDenied)
    },
    Statement(
      "L04", .core, on: .vgem, "vgem has dumb buffers and nothing else of mode setting, not even the capability",
      source: "drm_drv.h:drm_core_check_feature (DRIVER_MODESET)"
    ) { check in
      let device = try check.openDevice()
      let layout = try check.expect(check.kernel.createDumb(device, width: 64, height: 64))
      check.expect(check.kernel.crtcCount(device), fails: .notSupported)
      check.expect(
        check.kernel.addFramebuffer(
          device,
          ProbeFramebuffer(
            width: 64, height: 64, fourcc: KernelProbe.xrgb8888, handle: layout.handle, pitch: layout.pitch)),
        fails: .notSupported)
      check.expect(
        check.kernel.setClientCapability(device, ClientCapability.universalPlanes, 1), fails: .notSupported)
      check.expect(check.kernel.capability(device, 1), fails: .notSupported)
    },
    Statement(
      "L05", .core, on: .device,
      "syncobjs can be created where DRM_CAP_SYNCOBJ is 1, and are EOPNOTSUPP where it is 0",
      source: "drm_syncobj.c:drm_syncobj_create_ioctl"
    ) { check in
      let device = try check.openDevice()
      let capability = try check.expect(check.kernel.capability(device, 0x13))
      check.expect("DRM_CAP_SYNCOBJ", capability <= 1, "0 or 1", got: "\(capability)")
      let answer = check.kernel.createSyncobj(device)
      if capability == 1 {
        try check.expect(check.kernel.destroySyncobj(device, check.expect(answer)))
      } else {
        check.expect(answer, fails: .notSupported)
      }
    },
    Statement(
      "L06", .core, on: .device, "an unknown DRM ioctl is EINVAL, one of another type ENOTTY",
      source: "drm_ioctl.c:drm_ioctl"
    ) { check in
      let device = try check.openDevice()
      let unknown = IoctlRequest.drm(0xfd, "ioctl('d', 0xfd)")
      check.expect(check.kernel.ioctl(device, unknown, [0, 0]) { $0.returned }, fails: .invalidArgument)
      let foreign = IoctlRequest.readWrite("q", 0x00, "ioctl('q', 0)")
      check.expect(check.kernel.ioctl(device, foreign, [0, 0]) { $0.returned }, fails: .notATerminal)
    },
    Statement(
      "L07", .core, on: .device, "a node cannot be opened with O_EXCL", source: "drm_file.c:drm_open_helper"
    ) { check in
      let device = check.subject.device
      for node in [device?.primary, check.machine.openableRenderNode(of: device)].compactMap({ $0 }) {
        check.expect(check.kernel.open(node.path, flags: O_RDWR | O_EXCL), fails: .busy)
      }
    },
    Statement(
      "L08", .core, on: .machine,
      "a user in no group opens no node, udmabuf or heap that is closed to others",
      needs: [.unprivilegedUser], source: "udev's defaults; dma-heap.c"
    ) { check in
      let nodes = check.machine.devices.flatMap { [$0.primary?.path, $0.render?.path] }.compactMap { $0 }
      let present = nodes + ["/dev/udmabuf", "/dev/dma_heap/system"].filter(check.kernel.unrecorded.exists)
      var closed: [String] = []
      // Distributions give render nodes to everybody; that is their choice and no finding.
      for path in present where try check.expect(check.kernel.permissions(of: path)) & 0o6 == 0 { closed.append(path) }
      guard !closed.isEmpty else { throw Statement.Stop.skipped("every node here may be opened by everybody") }
      let looked: Void? = check.kernel.asNobody {
        for path in closed { check.expect(check.kernel.open(path, flags: O_RDWR), fails: .permissionDenied) }
      }
      if looked == nil { throw Statement.Stop.broken("the process could not become another user") }
    },
    Statement(
      "L09", .core, on: .display,
      "whoever opens the primary node may allocate, share and make framebuffers; setting modes is the master's",
      needs: [.master], source: "drm_ioctl.c (the flags of the ioctl table)"
    ) { check in
      guard check.machine.subjects(.dumbDevice).contains(where: { $0.device == check.subject.device }),
        let path = check.subject.device?.primary?.path
      else { throw Statement.Stop.skipped("\(check.subject.name) exports no dumb buffers") }
      // The first opener becomes master; the one that is looked at must not be the first.
      _ = try check.prepare(check.kernel.open(path, flags: O_RDWR))
      let format = try check.pictureFormat()
      try check.unprivileged {
        let device = try check.prepare(check.kernel.open(path, flags: O_RDWR))
        let layout = try check.expect(check.kernel.createDumb(device, width: 64, height: 64))
        let dmaBuf = try check.expect(
          check.kernel.primeHandleToFD(device, handle: layout.handle, flags: Check.exportFlags))
        check.expect(
          "the handle", try check.expect(check.kernel.primeFDToHandle(device, dmaBuf)), is: layout.handle)
        check.expectSuccess(
          check.kernel.addFramebuffer(
            device,
            ProbeFramebuffer(
              width: 64, height: 64, fourcc: format, handle: layout.handle, pitch: layout.pitch)))
        check.expect(
          check.kernel.setCRTC(device, 0, ProbeCRTC(framebuffer: 0, mode: nil), connectors: []),
          fails: .permissionDenied)
      }
    },
    Statement(
      "L10", .core, on: .device,
      "a signal interrupts an ioctl that waits, and it can be called again as if nothing had been (drmIoctl does)",
      source: "drm-uapi.rst (error table)"
    ) { check in
      let device = try check.openDevice()
      guard try check.prepare(check.kernel.capability(device, 0x13)) == 1 else {
        throw Statement.Stop.skipped("\(check.subject.name) has no syncobjs, which is what this waits for")
      }
      let syncobj = try check.prepare(check.kernel.createSyncobj(device))
      Interruptions.arm(restarting: false)
      let raw = try check.background { check.kernel.waitForSyncobj(device, syncobj, restarting: false) }
      check.expectWaiting(raw, "the wait before the signal")
      guard let interrupted = check.interrupting(raw) else {
        return check.expect("the interrupted wait", false, "an end", got: "it still waits")
      }
      check.expect(interrupted, fails: .interrupted, .tryAgain)
      let restarted = try check.background { check.kernel.waitForSyncobj(device, syncobj, restarting: true) }
      check.expectWaiting(restarted, "the restarted wait before the signal")
      // One could come before the thread is in its call.
      for _ in 0..<10 {
        restarted.interrupt()
        check.kernel.unrecorded.pause(milliseconds: 10)
      }
      check.expectWaiting(restarted, "the restarted wait after the signals")
      _ = try check.prepare(check.kernel.signalSyncobj(device, syncobj))
      guard let ended = restarted.result(within: .seconds(10)) else {
        return check.expect("the restarted wait", false, "an end", got: "it still waits")
      }
      try check.expect(ended)
    },
  ]
}

extension Check {
  /// The call has not come back after a while.
  fileprivate func expectWaiting<Value: ProbeValue>(_ call: BackgroundCall<CallResult<Value>>, _ what: String) {
    let answer = call.result(within: .milliseconds(100))
    expect(what, answer == nil, "no end", got: answer.map(KernelProbe.text) ?? "")
  }

  /// Sends signals until the call has come back: one that comes before the thread is in the kernel interrupts nothing.
  fileprivate func interrupting<Value>(_ call: BackgroundCall<Value>) -> Value? {
    let deadline = Deadline(in: .seconds(10), on: kernel.unrecorded)
    while deadline.remaining > .zero {
      call.interrupt()
      if let value = call.result(within: .milliseconds(50)) { return value }
    }
    return nil
  }
}
