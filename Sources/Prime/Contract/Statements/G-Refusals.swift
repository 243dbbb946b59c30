internal import Prime

extension Contract {
  /// G, of devices that do not share: which errno says so.
  static let importRefusals: [Statement] = [
    Statement(
      "G11", .helper, on: .dumbDevice,
      "an exporter that gives nobody its pages (no get_sg_table) is refused with ENOSYS by every importer",
      needs: [.alone], source: "drm_prime.c:drm_gem_map_attach"
    ) { check in
      let sharing = check.machine.subjects(.sharingPair)
      guard !sharing.contains(where: { $0.exporter == check.subject.exporter }) else {
        throw Statement.Stop.skipped("\(check.subject.name) gives its pages to other devices")
      }
      // Only an importer that takes others' buffers shows that the refusal is the exporter's.
      let importers = Set(sharing.compactMap(\.device)).subtracting([check.subject.device].compactMap { $0 })
      guard !importers.isEmpty else { throw Statement.Stop.skipped("no other device here takes anybody's buffers") }
      // One that has a function for its pages, or for who attaches, may refuse with whatever errno it finds right.
      guard check.subject.exporter.map(check.machine.givesNoPages) == true else {
        throw Statement.Stop.skipped(
          "\(check.subject.name) is refused with another errno than ENOSYS: it has a function of its own that refuses "
            + "(get_sg_table, attach), with an errno of its own")
      }
      let buffer = try check.buffer()
      for importer in importers.compactMap(\.primary?.path).sorted() {
        let device = try check.prepare(check.kernel.openDevice(importer))
        check.expect(check.kernel.primeFDToHandle(device, buffer.dmaBuf), fails: .notImplemented)
      }
    },
    Statement(
      "G12", .helper, on: .device,
      "an importer without a hook for foreign pages (VRAM helpers) refuses every foreign buffer with EINVAL",
      needs: [.alone], source: "drm_prime.c:drm_gem_prime_import_dev (no gem_prime_import_sg_table)"
    ) { check in
      try check.needs(.vram)
      guard check.subject.device?.capabilities?.primeImport != false else {
        throw Statement.Stop.skipped("\(check.subject.name) imports nothing on this kernel, and says so")
      }
      try check.expectRefusals(.invalidArgument)
    },
    Statement(
      "G13", .exporterSpecific, on: .device, "virtio_gpu refuses foreign buffers with ENODEV", needs: [.alone],
      source: "virtgpu_prime.c:virtgpu_gem_prime_import"
    ) { check in
      guard check.subject.driver == "virtio_gpu" else {
        throw Statement.Stop.skipped("\(check.subject.driver) is not virtio_gpu")
      }
      try check.expectRefusals(.noSuchDevice)
    },
    Statement(
      "G14", .helper, on: .device,
      "an importer on the DMA helper takes one contiguous range as long as the dma-buf, or says EINVAL",
      needs: [.alone], source: "drm_gem_dma_helper.c:drm_gem_dma_prime_import_sg_table"
    ) { check in
      try check.needs(.dma)
      let device = try check.openDevice()
      for exporter in check.otherExporters {
        let buffer = try check.buffer(on: exporter)
        let answer = check.kernel.primeFDToHandle(device, buffer.dmaBuf)
        guard case .success(let handle) = answer else {
          check.expect(answer, fails: .invalidArgument)
          continue
        }
        let request = ProbeFramebuffer(of: buffer, as: try check.pictureFormat(), handle: handle)
        check.expectSuccess(check.kernel.addFramebuffer(device, request))
      }
    },
    Statement(
      "G15", .helper, on: .device,
      "a refused import says so with an errno that is in use for it, each time the same, and leaves nothing behind",
      needs: [.alone], source: "dma-buf.c:dma_buf_dynamic_attach; the drivers' attach callbacks"
    ) { check in
      let device = try check.openDevice()
      var refusals = 0
      for exporter in check.otherExporters {
        let buffer = try check.buffer(on: exporter)
        let before = try check.expect(check.kernel.descriptors())
        let held = DescriptorFacts.value(of: "count", in: try check.fdinfo(of: buffer.dmaBuf))
        guard case .failure(let errno) = check.kernel.primeFDToHandle(device, buffer.dmaBuf) else { continue }
        refusals += 1
        let again = check.kernel.primeFDToHandle(device, buffer.dmaBuf)
        check.expect(again, fails: errno)
        check.expect(
          "the errno", refusalErrnos.contains(errno), refusalErrnos.map(\.name).joined(separator: ", "),
          got: errno.name)
        check.expect("the open descriptors", try check.expect(check.kernel.descriptors()), is: before)
        let left = DescriptorFacts.value(of: "count", in: try check.fdinfo(of: buffer.dmaBuf))
        check.expect("the references to the dma-buf", left ?? "", is: held ?? "")
      }
      guard refusals > 0 else { throw Statement.Stop.skipped("\(check.subject.name) refuses nobody's buffers here") }
    },
  ]

  /// G, of what an import does not say.
  static let importReach: [Statement] = [
    Statement(
      advice: "G16",
      "an import proves no reach: from Linux 6.18 on GEM-shmem importers take a dma-buf without mapping it for DMA, so "
        + "look at what the device sees (M03)",
      source: "drm_gem_shmem_helper.c:drm_gem_shmem_prime_import_no_map")
  ]

  /// What exporters and importers answer where they cannot share.
  private static let refusalErrnos: [Errno] = [
    .invalidArgument, .noSuchDevice, .notImplemented, .noMemory, .busy, .inputOutput, .notSupported,
  ]
}

extension Check {
  /// Skips where the driver is not known to be built on a helper.
  fileprivate func needs(_ family: HelperFamily) throws(Statement.Stop) {
    let own = machine.family(of: subject)
    guard own.family != family else { return }
    throw .skipped(
      own.family.map { "\(subject.name) is built on \($0.name), not on \(family.name)" }
        ?? "\(subject.name) is not known to be built on \(family.name): \(own.evidence)")
  }

  /// Everything here that makes dma-bufs, without the subject's device.
  fileprivate var otherExporters: [Subject.Exporter] {
    machine.subjects(.exporter).compactMap(\.exporter).filter { exporter in
      if case .dumb(let device) = exporter { device != subject.device } else { true }
    }
  }

  /// Every buffer that somebody else here takes is refused by the subject.
  fileprivate func expectRefusals(_ errno: Errno) throws(Statement.Stop) {
    let sharing = machine.subjects(.sharingPair)
    guard !sharing.contains(where: { $0.device == subject.device }) else {
      throw .skipped("\(subject.name) takes foreign buffers on this kernel")
    }
    // An exporter that gives nobody its pages refuses by itself (G11), although from Linux 6.18 on importers that do not map
    // take its buffers.
    let exporters = otherExporters.filter { exporter in
      !machine.givesNoPages(exporter) && sharing.contains { $0.exporter == exporter }
    }
    guard !exporters.isEmpty else { throw .skipped("no buffer here is taken by anybody else") }
    let device = try openDevice()
    for exporter in exporters {
      let buffer = try buffer(on: exporter)
      expect(kernel.primeFDToHandle(device, buffer.dmaBuf), fails: errno)
    }
  }
}
