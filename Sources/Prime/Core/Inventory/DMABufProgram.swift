/// The BPF program that the kernel runs for each dma-buf, and the records that it writes.
package struct DMABufProgram: Hashable, Sendable {
  /// The number of `bpf_iter_dmabuf`, by which the iterator calls it, in the kernel's BTF.
  package var function: UInt32
  /// Where the parts lie that it reads, in bytes.
  package var offsets: Offsets

  /// Offsets in structures of the kernel's, each named by its structure.
  package struct Offsets: Hashable, Sendable {
    /// `bpf_iter__dmabuf`, which the program is given.
    package var contextMeta: Int16
    package var contextDMABuf: Int16
    /// `bpf_iter_meta`.
    package var metaSeq: Int16
    /// `dma_buf`.
    package var size: Int16
    package var exporterName: Int16
    package var name: Int16
    package var file: Int16
    /// `file`.
    package var fileInode: Int16
    /// `inode`.
    package var inodeNumber: Int16

    package init(
      contextMeta: Int16, contextDMABuf: Int16, metaSeq: Int16, size: Int16, exporterName: Int16, name: Int16,
      file: Int16, fileInode: Int16, inodeNumber: Int16
    ) {
      (self.contextMeta, self.contextDMABuf, self.metaSeq) = (contextMeta, contextDMABuf, metaSeq)
      (self.size, self.exporterName, self.name, self.file) = (size, exporterName, name, file)
      (self.fileInode, self.inodeNumber) = (fileInode, inodeNumber)
    }
  }

  package init(function: UInt32, offsets: Offsets) {
    (self.function, self.offsets) = (function, offsets)
  }

  /// Finds everything in the kernel's BTF.
  ///
  /// - Throws: `absent` where the kernel has no iterator over dma-bufs, `broken` where its structures are others.
  package init(_ types: BTF) throws(PrimeError) {
    guard let function = types.type(.function, named: "bpf_iter_dmabuf"),
      let context = types.type(.structure, named: "bpf_iter__dmabuf")
    else {
      throw PrimeError(
        operation: "read", finding: .absent, subject: BTF.path,
        reason: "this kernel has no BPF iterator over dma-bufs, which came with Linux 6.16")
    }
    guard let offsets = Offsets(types, context: context) else {
      throw PrimeError(
        operation: "read", finding: .broken, subject: BTF.path,
        reason: "a dma-buf of this kernel has not what is looked for in it")
    }
    self.init(function: function, offsets: offsets)
  }
}

extension DMABufProgram.Offsets {
  /// Nil where something is missing, is larger or smaller than 64 bits, or lies further away than an instruction reaches.
  init?(_ types: BTF, context: UInt32) {
    func member(_ name: String, of type: UInt32?) -> (offset: Int16, type: UInt32)? {
      guard let member = type.flatMap({ types.member(name, of: $0) }), let offset = Int16(exactly: member.offset) else {
        return nil
      }
      return (offset, member.type)
    }
    func target(_ member: (offset: Int16, type: UInt32)) -> UInt32? { types.pointee(of: member.type) }
    guard let meta = member("meta", of: context), let seq = member("seq", of: target(meta)),
      let buffer = member("dmabuf", of: context), let size = member("size", of: target(buffer)),
      let exporterName = member("exp_name", of: target(buffer)), let name = member("name", of: target(buffer)),
      let file = member("file", of: target(buffer)), let inode = member("f_inode", of: target(file)),
      let number = member("i_ino", of: target(inode)),
      [seq, exporterName, name].allSatisfy({ target($0) != nil }),
      // A kernel of 32 bits has pointers of 32 bits.
      [size, number].allSatisfy({ types.integerByteCount(of: $0.type) == 8 })
    else { return nil }
    self.init(
      contextMeta: meta.offset, contextDMABuf: buffer.offset, metaSeq: seq.offset, size: size.offset,
      exporterName: exporterName.offset, name: name.offset, file: file.offset, fileInode: inode.offset,
      inodeNumber: number.offset)
  }
}

// MARK: - Records

extension DMABufProgram {
  /// A record: inode and size, 8 bytes each, the exporter's name and its own, each to its first zero.
  package static let recordByteCount = 16 + exporterByteCount + nameByteCount
  /// What an exporter calls itself has no limit in the kernel; all but the last byte of this are kept.
  private static let exporterByteCount = 64
  /// `DMA_BUF_NAME_LEN`.
  private static let nameByteCount = 32

  /// Writes a record for each dma-buf whose inode has the rest `part` when divided by `parts`.
  package func instructions(part: Int32, of parts: Int32) -> [BPFInstruction] {
    let record = Int16(-Self.recordByteCount)
    let (exporter, name) = (record + 16, record + 16 + Int16(Self.exporterByteCount))
    var written: [BPFInstruction] = [
      .load(.r8, from: .r7, at: offsets.size),
      .store(.r8, to: .frame, at: record + 8),
    ]
    // What is behind a text's zero is what lay on the stack before.
    written += Self.text(at: offsets.exporterName, to: exporter, byteCount: Self.exporterByteCount)
    written += Self.text(at: offsets.name, to: name, byteCount: Self.nameByteCount)
    written += [
      .move(.r1, .r6), .move(.r2, .frame), .add(.r2, Int32(record)), .move(.r3, Int32(Self.recordByteCount)),
      .call(.seqWrite),
    ]
    let chosen: [BPFInstruction] = [
      .load(.r6, from: .r6, at: offsets.metaSeq),
      .load(.r8, from: .r7, at: offsets.file),
      .load(.r8, from: .r8, at: offsets.fileInode),
      .load(.r8, from: .r8, at: offsets.inodeNumber),
      .store(.r8, to: .frame, at: record),
      .modulo(.r8, parts),
      .skip(Int16(written.count), where: .r8, isNot: part),
    ]
    return [
      .load(.r6, from: .r1, at: offsets.contextMeta),
      .load(.r7, from: .r1, at: offsets.contextDMABuf),
      // The verifier wants it, since an iterator may say in this way that it is at its end.
      .skip(Int16(chosen.count + written.count), where: .r7, is: 0),
    ] + chosen + written + [.move(.r0, 0), .exit]
  }

  /// Copies the text that a pointer of the dma-buf's leads to.
  private static func text(at offset: Int16, to place: Int16, byteCount: Int) -> [BPFInstruction] {
    [
      .load(.r3, from: .r7, at: offset),
      .move(.r1, .frame), .add(.r1, Int32(place)), .move(.r2, Int32(byteCount)),
      .call(.probeReadKernelString),
    ]
  }

  /// Reads what the program has written.
  ///
  /// - Throws: `broken` where the last record is not whole.
  package static func records(_ bytes: [UInt8]) throws(PrimeError) -> [ListedDMABuf] {
    guard bytes.count.isMultiple(of: recordByteCount) else {
      throw PrimeError(
        operation: "read", finding: .broken, subject: "the BPF iterator over dma-bufs",
        reason: "\(bytes.count) bytes are no records of \(recordByteCount)")
    }
    return stride(from: 0, to: bytes.count, by: recordByteCount).map { start in
      let name = start + 16 + exporterByteCount
      let text = text(bytes[name..<name + nameByteCount])
      return ListedDMABuf(
        inode: bytes.number(at: start, as: UInt64.self),
        byteCount: Int(clamping: bytes.number(at: start + 8, as: UInt64.self)),
        exporter: Self.text(bytes[start + 16..<name]), name: text.isEmpty ? nil : text)
    }
  }

  private static func text(_ bytes: ArraySlice<UInt8>) -> String {
    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }
}
