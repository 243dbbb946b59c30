internal import Glibc
internal import Prime

extension Contract {
  /// D: names, and what the kernel tells of a buffer.
  static let introspection: [Statement] = [
    Statement(
      "D01", .core, on: .exporter, "a name has up to 31 characters",
      source: "dma-buf.c:dma_buf_set_name (DMA_BUF_NAME_LEN)"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      for name in ["a", String(repeating: "b", count: 31)] {
        try check.expect(check.kernel.setName(dmaBuf, name))
        let seen = DescriptorFacts.value(of: "name", in: try check.fdinfo(of: dmaBuf))
        check.expect("the name", seen ?? "", is: name)
      }
    },
    Statement(
      "D02", .core, on: .exporter, "a longer name is refused, and the old one stays",
      source: "dma-buf.c:dma_buf_set_name (strndup_user)"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      _ = try check.prepare(check.kernel.setName(dmaBuf, "short"))
      for count in [32, 33, 4000] {
        check.expect(
          check.kernel.setName(dmaBuf, String(repeating: "n", count: count)), fails: .invalidArgument)
      }
      let name = DescriptorFacts.value(of: "name", in: try check.fdinfo(of: dmaBuf))
      check.expect("the name", name ?? "", is: "short")
    },
    Statement(
      "D03", .core, on: .exporter, "a name at an address that is nobody's is refused",
      source: "dma-buf.c:dma_buf_set_name (strndup_user)"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      for address: UInt64 in [0, 8] {
        check.expect(
          check.kernel.ioctl(dmaBuf, .dmaBufSetNameB, byteCount: 8, at: address), fails: .badAddress)
      }
    },
    Statement(
      "D04", .core, on: .exporter, "both numbers of DMA_BUF_SET_NAME name it",
      source: "uapi/linux/dma-buf.h (DMA_BUF_SET_NAME_A, DMA_BUF_SET_NAME_B)"
    ) { check in
      let dmaBuf = try check.buffer().dmaBuf
      for (name, older) in [("by-32-bits", true), ("by-64-bits", false)] {
        try check.expect(check.kernel.setName(dmaBuf, name, older: older))
        let seen = DescriptorFacts.value(of: "name", in: try check.fdinfo(of: dmaBuf))
        check.expect("the name", seen ?? "", is: name)
      }
    },
    Statement(
      "D05", .core, on: .exporter, "the name is in /proc/PID/fd, /proc/PID/maps and fdinfo",
      source: "dma-buf.c:dmabuffs_dname, dma_buf_show_fdinfo"
    ) { check in
      let buffer = try check.buffer()
      let name = "prime-tool-D05"
      let mapping = try check.mapping(of: buffer)
      _ = try check.prepare(check.kernel.setName(buffer.dmaBuf, name))
      let link = try check.expect(check.kernel.link(of: buffer.dmaBuf))
      check.expect("the link in /proc/self/fd", link.hasPrefix("/dmabuf:\(name)"), "/dmabuf:\(name)", got: link)
      let beginning = "\(hexadecimal(mapping.address, digits: 8))-"
      let maps = try check.expect(check.kernel.text(of: "/proc/self/maps"))
      let line = maps.split(separator: "\n").first { $0.hasPrefix(beginning) } ?? "no line of the mapping"
      if line.contains("/dmabuf:") || !line.contains("/") {
        check.expect("/proc/self/maps", line.contains("/dmabuf:\(name)"), "/dmabuf:\(name)", got: String(line))
      } else {
        // Some drivers give the mapping another file (vma_set_file).
        check.note("the mapping is one of another file: \(line)")
      }
      let seen = DescriptorFacts.value(of: "name", in: try check.fdinfo(of: buffer.dmaBuf))
      check.expect("the name in fdinfo", seen ?? "", is: name)
    },
    Statement(
      "D06", .core, on: .exporter, "fdinfo has its size, its references and its exporter, and its name once it has one",
      source: "dma-buf.c:dma_buf_show_fdinfo"
    ) { check in
      let buffer = try check.buffer()
      let size = try check.prepare(check.kernel.seek(buffer.dmaBuf, 0, .end))
      let nameless = try check.fdinfo(of: buffer.dmaBuf)
      check.expect("size:", DescriptorFacts.value(of: "size", in: nameless) ?? "", is: "\(size)")
      check.expect("name:", DescriptorFacts.value(of: "name", in: nameless) ?? "", is: "")
      let exporter = DescriptorFacts.value(of: "exp_name", in: nameless) ?? ""
      switch check.subject.exporter {
      case .udmabuf: check.expect("exp_name:", exporter, is: "udmabuf")
      case .heap: check.expect("exp_name:", exporter, is: "system")
      // "drm" from the helpers; a driver of its own may say otherwise.
      default: check.expect("exp_name:", !exporter.isEmpty, "a name", got: "none")
      }
      let references = Int(DescriptorFacts.value(of: "count", in: nameless) ?? "") ?? 0
      _ = try check.prepare(check.kernel.duplicate(buffer.dmaBuf))
      let twice = try check.fdinfo(of: buffer.dmaBuf)
      let more = Int(DescriptorFacts.value(of: "count", in: twice) ?? "") ?? 0
      check.expect("count: with a second descriptor", more, is: references + 1)
      _ = try check.prepare(check.kernel.setName(buffer.dmaBuf, "named"))
      let named = try check.fdinfo(of: buffer.dmaBuf)
      check.expect("name:", DescriptorFacts.value(of: "name", in: named) ?? "", is: "named")
    },
    Statement(
      "D07", .core, on: .sharingPair,
      "it can be renamed at any time, to nothing too, also while another device holds it",
      source: "dma-buf.c:dma_buf_set_name (the -EBUSY of its description is stale)"
    ) { check in
      let dmaBuf = try check.takenBuffer().dmaBuf
      _ = try check.prepare(check.kernel.setName(dmaBuf, "before"))
      let device = try check.openDevice()
      _ = try check.prepare(check.kernel.primeFDToHandle(device, dmaBuf))
      for name in ["while-attached", "", "again"] {
        try check.expect(check.kernel.setName(dmaBuf, name))
        let link = try check.expect(check.kernel.link(of: dmaBuf))
        check.expect("the link", link.split(separator: " ").first ?? "", is: "/dmabuf:\(name)")
      }
    },
    Statement(
      "D08", .core, on: .exporter,
      "debugfs lists its size, flags, exporter, inode and name, its fences and the devices that hold it",
      needs: [.debugfs, .alone], source: "dma-buf.c:dma_buf_debug_show"
    ) { check in
      let buffer =
        if let importer = check.importer { try check.takenBuffer(by: importer) } else { try check.buffer() }
      _ = try check.prepare(check.kernel.setName(buffer.dmaBuf, "prime-tool-D08"))
      let status = try check.prepare(check.kernel.status(buffer.dmaBuf))
      let flags = try check.prepare(check.kernel.control(buffer.dmaBuf, F_GETFL, 0, "F_GETFL"))
      let exporter = DescriptorFacts.value(of: "exp_name", in: try check.fdinfo(of: buffer.dmaBuf))
      func listed() throws(Statement.Stop) -> ListedDMABuf {
        guard let entry = try check.listed(inode: status.inode) else {
          check.expect("bufinfo", false, "a line of inode \(status.inode)", got: "none")
          throw .failed
        }
        return entry
      }
      let entry = try listed()
      check.expect("its size", entry.byteCount, is: Int(status.byteCount))
      check.expect("its access mode", Int(entry.openFlags ?? 0) & Int(O_ACCMODE), is: flags & Int(O_ACCMODE))
      check.expect("its exporter", entry.exporter, is: exporter ?? "")
      check.expect("its name", entry.name ?? "", is: "prime-tool-D08")
      check.expect("the devices that hold it", entry.attachedDevices ?? [], is: [])
      guard let importer = check.importer, let node = importer.primary else { return }
      let device = try check.prepare(check.kernel.openDevice(node.path))
      let handle = try check.prepare(check.kernel.primeFDToHandle(device, buffer.dmaBuf))
      let held = try listed().attachedDevices ?? []
      check.expect("the devices that hold it", held.count == 1 && held[0] != "", "one name", got: "\(held)")
      guard importer == check.machine.vgem else { return }
      let fence = try check.prepare(check.kernel.attachVGEMFence(device, handle: handle, flags: 1))
      let fences = (try listed().fences ?? []).map(\.description)
      check.expect("its fences", fences.contains { $0.contains("vgem") }, "one of vgem", got: "\(fences)")
      _ = try check.prepare(check.kernel.signalVGEMFence(device, fence: fence))
    },
    Statement(
      "D09", .core, on: .exporter, "sysfs has its size and its exporter under its inode while it lives",
      needs: [.bufferStatistics],
      source: "dma-buf-sysfs-stats.c; ABI/testing/sysfs-kernel-dmabuf-buffers"
    ) { check in
      let buffer = try check.buffer()
      let status = try check.prepare(check.kernel.status(buffer.dmaBuf))
      let exporter = DescriptorFacts.value(of: "exp_name", in: try check.fdinfo(of: buffer.dmaBuf))
      let folder = "/sys/kernel/dmabuf/buffers/\(status.inode)"
      check.expect("size", try check.expect(check.kernel.text(of: "\(folder)/size")), is: "\(status.byteCount)")
      let name = try check.expect(check.kernel.text(of: "\(folder)/exporter_name"))
      check.expect("exporter_name", name, is: exporter ?? "")
      check.kernel.cleanUp()
      // The kernel frees it a moment after its last reference went.
      let isGone = Pause.until(Deadline(in: .seconds(5), on: check.kernel.unrecorded)) {
        !check.kernel.unrecorded.exists(folder)
      }
      check.expect("\(folder) when the buffer is gone", !isGone, is: false)
    },
    Statement(
      "D10", .helper, on: .exporter, "its line goes from debugfs with its last reference", needs: [.debugfs],
      source: "dma-buf.c:dma_buf_release (__dma_buf_debugfs_list_del)"
    ) { check in
      let buffer = try check.buffer()
      let inode = try check.prepare(check.kernel.status(buffer.dmaBuf)).inode
      let mapping = try check.mapping(of: buffer)
      func isListed() throws(Statement.Stop) -> Bool {
        try check.listed(inode: inode) != nil
      }
      check.expect("a line in bufinfo", try isListed(), is: true)
      // An exporter may put a file of its own behind its mappings, to shoot them down (dma-buf.h, dma_buf_ops.mmap).
      let isOthersFile = check.file(behind: mapping).map { !$0.hasPrefix("/dmabuf:") } ?? false
      if isOthersFile { check.note("mappings are of a file of the exporter's, and hold no reference to the dma-buf") }
      _ = try check.prepare(check.kernel.close(buffer.dmaBuf))
      _ = try check.prepare(check.kernel.close(buffer.node))
      if let memory = buffer.memory { _ = try check.prepare(check.kernel.close(memory)) }
      if !isOthersFile { check.expect("a line in bufinfo while it is mapped", try isListed(), is: true) }
      _ = try check.prepare(check.kernel.unmap(mapping))
      // The kernel frees it a moment after its last reference went.
      let limit = Deadline(in: .seconds(5), on: check.kernel.unrecorded)
      var remains = try isListed()
      while remains && limit.remaining > .zero {
        limit.pause(milliseconds: 10)
        remains = try isListed()
      }
      check.expect("a line in bufinfo after everything was closed", remains, is: false)
    },
  ]
}
