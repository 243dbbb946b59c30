internal import Prime

extension Contract {
  /// M: data visibility, the proof that sharing works.
  static let visibility: [Statement] =
    processorVisibility + deviceVisibility + writebackRules + visibilityLimits + bouncedImports

  private static let processorVisibility: [Statement] = [
    Statement(
      "M01", .core, on: .exporter,
      "bytes written in a bracket are read through another descriptor, another mapping and another process",
      source: "dma-buf.c, DOC \"cpu access\""
    ) { check in
      let buffer = try check.buffer()
      let mapping = try check.mapping(of: buffer)
      let written = check.bytes(256)
      let offset = buffer.byteCount - written.count
      _ = try check.prepare(check.kernel.sync(buffer.dmaBuf, SyncFlags.write))
      check.kernel.write(written, to: mapping, at: offset)
      _ = try check.prepare(check.kernel.sync(buffer.dmaBuf, SyncFlags.write | SyncFlags.end))
      let other = try check.prepare(check.kernel.duplicate(buffer.dmaBuf))
      let second = try check.prepare(check.kernel.map(other, byteCount: buffer.byteCount))
      _ = try check.prepare(check.kernel.sync(other, SyncFlags.read))
      let seen = check.kernel.bytes(of: second, at: offset, count: written.count)
      _ = try check.prepare(check.kernel.sync(other, SyncFlags.read | SyncFlags.end))
      check.expect("bytes that differ in another mapping", Check.differences(seen, written), is: 0)
      let elsewhere = check.kernel.bytesInAnotherProcess(
        of: buffer.dmaBuf, byteCount: buffer.byteCount, at: offset, count: written.count)
      check.expect("bytes that differ in another process", Check.differences(elsewhere, written), is: 0)
    },
    Statement(
      "M02", .core, on: .udmabuf, "bytes written through a udmabuf are in its memfd, and the other way about",
      source: "udmabuf.c"
    ) { check in
      let buffer = try check.buffer()
      let mapping = try check.mapping(of: buffer)
      let memory = try check.prepare(check.kernel.map(buffer.memory ?? -1, byteCount: buffer.byteCount))
      let written = check.bytes(256)
      _ = try check.prepare(check.kernel.sync(buffer.dmaBuf, SyncFlags.write))
      check.kernel.write(written, to: mapping, at: 4096)
      _ = try check.prepare(check.kernel.sync(buffer.dmaBuf, SyncFlags.write | SyncFlags.end))
      check.expect(
        "bytes that differ in the memfd",
        Check.differences(check.kernel.bytes(of: memory, at: 4096, count: written.count), written), is: 0)
      // A bracket for what is written through the memfd too: where udmabuf has a copy of the memory, START puts that back.
      _ = try check.prepare(check.kernel.sync(buffer.dmaBuf, SyncFlags.write))
      check.kernel.write(written, to: memory, at: 8192)
      _ = try check.prepare(check.kernel.sync(buffer.dmaBuf, SyncFlags.write | SyncFlags.end))
      _ = try check.prepare(check.kernel.sync(buffer.dmaBuf, SyncFlags.read))
      let seen = check.kernel.bytes(of: mapping, at: 8192, count: written.count)
      _ = try check.prepare(check.kernel.sync(buffer.dmaBuf, SyncFlags.read | SyncFlags.end))
      check.expect("bytes that differ in the udmabuf", Check.differences(seen, written), is: 0)
    },
  ]

  private static let deviceVisibility: [Statement] = [
    Statement(
      "M03", .core, on: .shownPair,
      "the importing display sees what the exporter wrote: scanned out and written back, no pixel differs",
      needs: [.master, .atomic, .writeback], source: "vkms_writeback.c; vkms_composer.c"
    ) { check in
      let display = try ScanoutFixture(check, to: .writeback)
      let (picture, target) = (try display.foreignPicture(), try display.nativePicture())
      let pixels = display.pixels(1)
      try display.write(pixels, to: picture)
      try check.expectUnlike(try display.differences(target, from: pixels), of: display)
      try check.expect(display.capture(picture, into: target))
      check.expect("pixels that differ in what it saw", try display.differences(target, from: pixels), is: 0)
      try display.close()
    },
    Statement(
      "M04", .core, on: .shownPair,
      "what the display writes into an imported buffer is in the exporter's mapping, every pixel",
      needs: [.master, .atomic, .writeback], source: "vkms_writeback.c; vkms_composer.c"
    ) { check in
      let display = try ScanoutFixture(check, to: .writeback)
      let (picture, target) = (try display.nativePicture(), try display.foreignPicture())
      let pixels = display.pixels(2)
      try display.write(pixels, to: picture)
      try check.expectUnlike(try display.differences(target, from: pixels), of: display)
      try check.expect(display.capture(picture, into: target))
      check.expect(
        "pixels that differ in the exporter's mapping", try display.differences(target, from: pixels), is: 0)
      try display.close()
    },
    Statement(
      "M05", .core, on: .shownPair,
      "what is written after the commit is seen by the next writeback: nothing was copied",
      needs: [.master, .atomic, .writeback], source: "vkms_writeback.c; vkms_composer.c"
    ) { check in
      let display = try ScanoutFixture(check, to: .writeback)
      let (picture, target) = (try display.foreignPicture(), try display.nativePicture())
      let (first, second) = (display.pixels(3), display.pixels(4))
      try display.write(first, to: picture)
      try check.expect(display.capture(picture, into: target))
      check.expect("pixels that differ at first", try display.differences(target, from: first), is: 0)
      try display.write(second, to: picture)
      try check.expect(display.capture(picture, into: target))
      check.expect("pixels that differ after the second write", try display.differences(target, from: second), is: 0)
      try display.close()
    },
    Statement(
      "M06", .core, on: .shownPair,
      "a CRTC's checksum is that of the content: one pixel of the exporter's changes it, undoing that restores it",
      needs: [.master, .atomic, .root, .pipeCRC], source: "drm_debugfs_crc.c; vkms_composer.c"
    ) { check in
      let display = try ScanoutFixture(check, to: .connected)
      let picture = try display.foreignPicture()
      func setPixel(_ value: UInt8) throws(Statement.Stop) {
        let place = display.height / 2 * Int(picture.buffer.pitch) + display.width / 2 * 4
        _ = try check.prepare(check.kernel.sync(picture.buffer.dmaBuf, SyncFlags.write))
        check.kernel.write([value, value, value], to: picture.mapping, at: place)
        _ = try check.prepare(check.kernel.sync(picture.buffer.dmaBuf, SyncFlags.write | SyncFlags.end))
      }
      try setPixel(0)
      try check.expect(display.show(picture))
      let checksums = try display.checksums()
      let before = try check.expect(display.checksum(of: picture, from: checksums))
      let frames = 4
      let steady = try check.expect(display.following(frames, from: checksums))
      let unchanged = (0..<frames).flatMap { _ in before }
      // Dithering, self-refresh and compression change what is summed up while the picture stays.
      if steady != unchanged, check.kernel.alteredCall == nil {
        throw Statement.Stop.skipped("the checksum of \(check.subject.name) changes while nothing is shown anew")
      }
      check.expect("the checksums of \(frames) further frames", steady, is: unchanged)
      let again = try check.expect(display.checksum(of: picture, from: checksums))
      check.expect("the checksum of the same content", again, is: before)
      try setPixel(255)
      let changed = try check.expect(display.checksum(of: picture, from: checksums))
      check.expect("the checksum after one pixel", changed != before, "another than \(before)", got: "\(changed)")
      try setPixel(0)
      let restored = try check.expect(display.checksum(of: picture, from: checksums))
      check.expect("the checksum after that was undone", restored, is: before)
      try display.close()
    },
  ]

  private static let writebackRules: [Statement] = [
    Statement(
      "M07", .helper, on: .shownPair,
      "a writeback is refused that is smaller than the mode, has no CRTC, or a format the connector does not list",
      needs: [.master, .atomic, .writeback],
      source: "drm_writeback.c; drm_atomic.c:drm_atomic_connector_check; vkms_writeback.c:vkms_wb_encoder_atomic_check"
    ) { check in
      let display = try ScanoutFixture(check, to: .writeback)
      let (picture, target) = (try display.foreignPicture(), try display.nativePicture())
      // So that what is refused below is refused for what it is.
      try check.expect(display.test(picture, into: target.framebuffer))
      let small = try check.prepare(display.framebuffer(of: target, rows: display.height / 2))
      check.expect(try display.test(picture, into: small), fails: .invalidArgument)
      // Where every format that a plane shows can be written, as with vkms 6.12, there is none to refuse.
      if let unwritten = display.unwrittenFormat {
        let other = try check.prepare(display.framebuffer(of: target, rows: display.height, unwritten))
        check.expect(try display.test(picture, into: other), fails: .invalidArgument)
      }
      check.expect(try display.testWithoutCRTC(into: target.framebuffer), fails: .invalidArgument)
      try display.close()
    },
    Statement(
      "M08", .core, on: .shownPair,
      "a writeback happens once, for the commit that asked: not for TEST_ONLY, not again, and it is done with its fence",
      needs: [.master, .atomic, .writeback], source: "drm_writeback.c"
    ) { check in
      let display = try ScanoutFixture(check, to: .writeback)
      let (picture, target) = (try display.foreignPicture(), try display.nativePicture())
      let (first, second) = (display.pixels(5), display.pixels(6))
      try display.write(first, to: picture)
      try check.expectUnlike(try display.differences(target, from: first), of: display)
      try check.expect(display.show(picture))
      do {
        // Only an engine that composes could write: vkms does while somebody wants its checksums, others always do.
        let composing = try? display.checksums()
        if composing == nil { check.note("nothing is known to compose while TEST_ONLY is looked at") }
        try check.expect(display.test(picture, into: target.framebuffer))
        for _ in 0..<2 { try check.expect(display.flip(to: picture)) }
        withExtendedLifetime(composing) {}
      }
      try check.expectUnlike(try display.differences(target, from: first), of: display)
      try check.expect(display.capture(picture, into: target))
      check.expect("pixels that differ at the fence", try display.differences(target, from: first), is: 0)
      check.expect("WRITEBACK_FB_ID", try check.expect(display.connectorProperty("WRITEBACK_FB_ID")), is: 0)
      check.expect(
        "WRITEBACK_OUT_FENCE_PTR", try check.expect(display.connectorProperty("WRITEBACK_OUT_FENCE_PTR")), is: 0)
      try display.write(second, to: picture)
      try check.expect(display.flip(to: picture))
      try check.expect(display.flip(to: picture))
      check.expect(
        "pixels that a commit without writeback changed", try display.differences(target, from: first), is: 0)
      try display.close()
    },
  ]

  private static let visibilityLimits: [Statement] = [
    Statement(
      advice: "M09",
      "a mapping of what the importer exports again proves nothing: it is the exporter's own dma-buf (G08), and MAP_DUMB "
        + "of an import is refused (I01) or its pages are, so look through scanout, a copy by the device, or a second file of one driver",
      source: "drm_prime.c:drm_gem_prime_handle_to_dmabuf; drm_dumb_buffers.c:drm_gem_dumb_map_offset"),
    Statement(
      "M10", .core, on: .shownPair,
      "a bracket makes writes visible to devices that do not look into the processor's caches",
      needs: [.incoherentImporter, .master, .atomic, .writeback], source: "dma-buf.c, DOC \"cpu access\""
    ) { check in
      let display = try ScanoutFixture(check, to: .writeback)
      let (picture, target) = (try display.foreignPicture(), try display.nativePicture())
      let (bare, bracketed) = (display.pixels(7), display.pixels(8))
      try display.write(bare, to: picture, inBracket: false)
      try check.expect(display.capture(picture, into: target))
      let stale = try display.differences(target, from: bare)
      try display.write(bracketed, to: picture)
      try check.expect(display.capture(picture, into: target))
      let coherent = try display.differences(target, from: bracketed)
      check.expect("pixels that differ after a bracket (without one: \(stale))", coherent, is: 0)
      check.note("pixels that differ: \(stale) without a bracket, \(coherent) with one")
      try display.close()
    },
  ]
}

extension Check {
  /// Bytes that the seed repeats.
  func bytes(_ count: Int) -> [UInt8] {
    var generator = SplitMix(state: seed)
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next() >> 32) }
  }

  /// How many bytes are others, or missing.
  static func differences(_ seen: [UInt8], _ expected: [UInt8]) -> Int {
    zip(seen, expected).count { $0 != $1 } + abs(seen.count - expected.count)
  }

  /// A look means something only where the target did not hold the picture before.
  fileprivate func expectUnlike(_ differences: Int, of display: ScanoutFixture) throws(Statement.Stop) {
    let pixels = display.width * display.height
    expect(
      "pixels of the target that differ before it is written", differences > pixels / 2, "nearly all \(pixels)",
      got: "\(differences)")
  }
}
