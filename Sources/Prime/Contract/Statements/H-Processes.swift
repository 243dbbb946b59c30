internal import Glibc
internal import Prime
internal import PrimeProcesses

/// The legacy framebuffer ioctls of `drm_mode.h`, which take seven words each.
extension IoctlRequest {
  fileprivate static let legacyFramebuffer = drm(0xae, "DRM_IOCTL_MODE_ADDFB")
  fileprivate static let framebufferFacts = drm(0xad, "DRM_IOCTL_MODE_GETFB")
}

extension Contract {
  /// What crosses a process, and what a file that seems closed still holds.
  static let processBoundaries: [Statement] = [
    Statement(
      "H06", .core, on: .sharingPair,
      "another process that is handed the descriptor imports and maps it, and each sees what the other writes",
      source: "unix(7) (SCM_RIGHTS); a dma-buf is a file"
    ) { check in
      let sockets = try check.prepare(check.kernel.socketPair())
      // The child is made first: it has nothing of the buffer but what it is handed.
      guard
        case .success(let receiver) = ChildProcess.start({ send in
          send(check.receiveAndAnswer(through: sockets.theirs))
        })
      else { throw Statement.Stop.broken("no process could be started") }
      let buffer = try check.takenBuffer()
      let mapping = try check.mapping(of: buffer)
      try check.write(check.marks(of: buffer), to: mapping, of: buffer.dmaBuf)
      let inode = try check.prepare(check.kernel.status(buffer.dmaBuf)).inode
      try check.expect(check.kernel.send(buffer.dmaBuf, through: sockets.mine))
      let told = try check.expect(check.kernel.words(of: receiver, within: .seconds(15)))
      let pages = (0..<check.marks(of: buffer).count).map { "page \($0)" }.joined(separator: " ")
      let expected = "received, same buffer \(inode), imported, mapped, saw \(pages), wrote"
      check.expect("the receiver's report", String(decoding: told, as: UTF8.self), is: expected)
      _ = try check.prepare(check.kernel.sync(buffer.dmaBuf, SyncFlags.read))
      check.expect(check.marks(of: buffer, variant: 1), in: mapping, "what the receiver wrote")
      _ = try check.prepare(check.kernel.sync(buffer.dmaBuf, SyncFlags.read | SyncFlags.end))
    },
    Statement(
      "H07", .core, on: .vgem, "the module that made it cannot be unloaded while a dma-buf of it lives",
      needs: [.root, .alone], source: "dma-buf.c:dma_buf_export (try_module_get)"
    ) { check in
      let references = "/sys/module/vgem/refcnt"
      guard check.kernel.unrecorded.exists(references) else {
        throw Statement.Stop.skipped("vgem is built into this kernel, or its modules cannot be unloaded")
      }
      func count() throws(Statement.Stop) -> Int {
        Int(try check.expect(check.kernel.text(of: references))) ?? -1
      }
      let before = try count()
      let buffer = try check.buffer()
      let inode = try check.prepare(check.kernel.status(buffer.dmaBuf)).inode
      // From here on nothing but the dma-buf needs the module.
      _ = try check.prepare(check.kernel.close(buffer.node))
      check.expect("the module's references beside others'", try count() - before, is: 1)
      // Asked without alteration: a module that is in use is refused for certain, and no other is tried.
      let truth = KernelProbe()
      guard (try? truth.status(buffer.dmaBuf).get())?.inode == inode,
        let users = truth.unrecorded.text(of: references).flatMap({ Int($0) }), users > 0
      else { throw Statement.Stop.broken("nobody but the check's own count says that vgem is in use") }
      let answer = check.kernel.unloadModule("vgem")
      if case .failure(.notPermitted) = answer {
        throw Statement.Stop.skipped("this root may not unload modules (CAP_SYS_MODULE, modules_disabled)")
      }
      check.expect(answer, fails: .tryAgain, .busy)
      _ = try check.prepare(check.kernel.close(buffer.dmaBuf))
      let limit = Deadline(in: .seconds(5), on: check.kernel.unrecorded)
      while try count() != before && limit.remaining > .zero { limit.pause(milliseconds: 10) }
      check.expect("the module's references when the dma-buf is gone", try count(), is: before)
    },
    Statement(
      "H08", .helper, of: .surely(.shmem, .dma, .vram, .ttm), on: .display,
      "a mapping of a dumb buffer keeps its file after close: its framebuffers, and being master, until munmap",
      needs: [.master], source: "drm_file.c:drm_release (at the last reference, which a mapping is)"
    ) { check in
      let kernel = check.kernel
      // ADDFB, which tells depth and bits, makes nothing else of 24 and 32.
      guard try check.pictureFormat() == KernelProbe.xrgb8888 else {
        throw Statement.Stop.skipped("\(check.subject.name) does not show XRGB8888")
      }
      let closed = try check.openDevice()
      let other = try check.openDevice()
      _ = try check.prepare(kernel.setMaster(closed))
      let layout = try check.prepare(kernel.createDumb(closed, width: 64, height: 64))
      let words: [UInt32] = [0, 64, 64, layout.pitch, 32, 24, layout.handle]
      let framebuffer = try check.prepare(
        kernel.ioctl(closed, .legacyFramebuffer, words, "handle \(layout.handle)") { $0.words[0] })
      func facts() -> CallResult<Int> {
        kernel.ioctl(other, .framebufferFacts, [framebuffer, 0, 0, 0, 0, 0, 0], "framebuffer \(framebuffer)") {
          $0.returned
        }
      }
      let offset = try check.prepare(kernel.mapDumb(closed, handle: layout.handle))
      let mapping = try check.prepare(kernel.map(closed, byteCount: Int(layout.byteCount), offset: offset))
      _ = try check.prepare(kernel.close(closed))
      check.expect(kernel.setMaster(other), fails: .busy)
      check.expectSuccess(facts())
      _ = try check.prepare(kernel.unmap(mapping))
      check.expect(facts(), fails: .noSuchFile)
      try check.expect(kernel.setMaster(other))
      try check.expect(kernel.dropMaster(other))
    },
  ]
}

extension Check {
  /// What the other process does with the descriptor it is handed, told in words.
  ///
  /// It looks with a probe of its own: the alterations of a control are the statement's.
  fileprivate func receiveAndAnswer(through socket: CInt) -> [UInt8] {
    let kernel = KernelProbe()
    var told: [String] = []
    func report(_ steps: () throws -> Void) -> [UInt8] {
      do { try steps() } catch { told.append("\(error)") }
      return Array(told.joined(separator: ", ").utf8)
    }
    return report {
      let dmaBuf = try kernel.receiveDescriptor(from: socket, milliseconds: 10_000).get()
      told.append("received")
      let status = try kernel.status(dmaBuf).get()
      told.append("same buffer \(status.inode)")
      let device = try kernel.openDevice(subject.device?.primary?.path ?? "").get()
      _ = try kernel.primeFDToHandle(device, dmaBuf).get()
      told.append("imported")
      let byteCount = Int(status.byteCount)
      let mapping = try kernel.map(dmaBuf, byteCount: byteCount).get()
      told.append("mapped")
      let pageSize = PageMarks.pageSize
      let theirs = PageMarks(count: byteCount / pageSize, seed: seed)
      _ = try kernel.sync(dmaBuf, SyncFlags.readWrite).get()
      let pages = (0..<theirs.count).map { page in
        theirs.name(of: kernel.bytes(of: mapping, at: page * pageSize, count: PageMarks.byteCount))
      }
      told.append("saw \(pages.joined(separator: " "))")
      let mine = PageMarks(count: theirs.count, seed: seed &+ 1)
      for page in 0..<mine.count { kernel.write(mine.mark(page), to: mapping, at: page * pageSize) }
      _ = try kernel.sync(dmaBuf, SyncFlags.readWrite | SyncFlags.end).get()
      told.append("wrote")
    }
  }
}
