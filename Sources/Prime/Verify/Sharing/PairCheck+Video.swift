internal import Prime

extension PairCheck {
  /// Runs the check of a video device as the importer; its import is made where its first look is.
  func run(with way: VideoImport) -> Outcome {
    let record = CellRecord(emptyReport, onStep: onStep)
    do {
      for problem in [exporter.problem, importer.problem] { try Stop.require(noProblem: problem) }
      try share(with: way, record)
    } catch {
      record.stopped(by: error)
    }
    return Outcome(report: record.report, inodes: record.inodes, wasCancelled: record.wasCancelled)
  }

  private func share(with way: VideoImport, _ record: CellRecord) throws {
    let patterns = Patterns(seed: seed)
    let object = try record.timed("allocate") {
      try Stop.declining(.untested) {
        let needed = try request.packedLayout(operation: .allocate, on: exporter.name)
        try MemoryBudget.check(needed.byteCount, operation: .allocate, on: exporter.name, by: kernel)
      }
      return try Stop.declining(.refused, by: .exporter) {
        var request = request
        // Most video devices have one pitch, that of rows without padding.
        request.pitch = ImporterPitch(own: request.widestRow, multiple: 1)
        return try Allocators.make(exporter, kernel: kernel).allocate(request)
      }
    }
    record.report.modifier = object.description.modifier.description
    let picture = try record.timed("export") {
      try Stop.declining(.refused, by: .exporter) { try object.export(.readWrite) }
    }
    record.inodes.formUnion(picture.identities.map(\.inode))
    try record.timed("write") { try writing { try write(patterns.a, to: picture) } }
    let written = Examination(expected: patterns.a, wrong: patterns.wrong)
    try record.timed("readBack") { try examine(picture, written, record) }
    let expected: Examination?
    switch way {
    case .reads(let route):
      expected = try looks(at: picture, through: route, record)
    case .writes(let device, let route?):
      try receives(picture, through: route, record)
      record.report.reason =
        "\(device.name) wrote each picture that it was given into the buffer, and the exporter saw all of it"
      expected = nil
    case .writes(let device, nil):
      try captures(picture, device, record)
      expected = nil
    case .unseen(let device):
      throw Stop(verdict: .untested, reason: "\(device.subject): nothing could be seen of what it does with a buffer")
    }
    // The import is closed.
    guard let expected else { return }
    try record.timed("afterImport") { try examineReleased(picture, expected, record) }
  }

  private func writing<Result>(_ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let error as PrimeError where error.saysThatBuffersCannotBeMapped {
      throw unmappable(error)
    }
  }

  // MARK: - A device that reads

  /// Has the device read the buffer, rewrites it and has it read again.
  ///
  /// - Returns: What the buffer has to hold when the import is closed.
  private func looks(
    at picture: borrowing SharedPicture, through route: VideoRoute, _ record: CellRecord
  ) throws -> Examination {
    let patterns = Patterns(seed: seed)
    let look = try record.timed("import") {
      try setUp(picture.description, route, record) { window throws(PrimeError) in
        try VideoLook(route, at: picture, as: window, kernel: kernel)
      }
    }
    defer { look.close() }
    record.inodes.insert(look.targetInode)
    try record.timed("observe") {
      try see(look, picture.description, Examination(expected: patterns.a, wrong: patterns.wrong), by: .v4l2, record)
    }
    try record.timed("rewrite") { try write(patterns.b, to: picture) }
    let written = Examination(expected: patterns.b, earlier: [patterns.a], wrong: patterns.wrong)
    try record.timed("observeAgain") { try see(look, picture.description, written, by: .v4l2, record) }
    try conclude(look, .v4l2, record)
    return written
  }

  // MARK: - A device that writes

  /// Has the device write a known picture into the buffer, and another one, and looks at each through the exporter.
  private func receives(
    _ picture: borrowing SharedPicture, through route: VideoRoute, _ record: CellRecord
  ) throws {
    let patterns = Patterns(seed: seed)
    let source = try Stop.declining(.untested) {
      try VideoAllocator(route.writer, kernel: kernel).allocate(request)
    }
    let known = try source.export(.readWrite)
    record.inodes.insert(known.first.identity.inode)
    let target = GivenPicture(try picture.duplicate())
    let look = try record.timed("import") {
      try setUp(known.description, route, record) { window throws(PrimeError) in
        try VideoLook(
          route, at: known, as: window, into: .allocated(target.told(as: window.layout.format)), kernel: kernel)
      }
    }
    defer { look.close() }
    for (step, pattern, earlier) in [("observe", patterns.a, []), ("observeAgain", patterns.b, [patterns.a])] {
      try record.timed(step) {
        try write(pattern, to: known)
        let examination = Examination(expected: pattern, earlier: earlier, wrong: patterns.wrong)
        try see(look, picture.description, examination, by: .v4l2Capture, record)
      }
    }
    try conclude(look, .v4l2Capture, record)
  }

  /// Has a camera write pictures of its own, which nobody knows, into the buffer, and looks for what it left out.
  private func captures(
    _ picture: borrowing SharedPicture, _ device: VideoDevice, _ record: CellRecord
  ) throws {
    var capture = try record.timed("import") {
      try declining(by: .importer) {
        let file = try VideoFile.open(device.path, kernel: kernel)
        try picture.requireOneBuffer("VIDIOC_S_FMT", on: file.subject)
        return try VideoCapture(file, picture.description)
      }
    }
    let marks = Patterns(seed: seed)
    for (step, mark) in [("observe", marks.a), ("observeAgain", marks.b)] {
      try record.timed(step) {
        try write(mark, to: picture)
        _ = try declining(by: .either) { try capture.capture(into: picture.first, deadline: deadline) }
        let rows = try picture.read(deadline: deadline) { bytes, layout in
          try mark.unwrittenRows(bytes, layout: layout)
        }
        guard rows.isEmpty else {
          record.report.observers = []
          throw Stop(
            verdict: .mismatch,
            reason: "\(device.name) was to write a picture into the whole buffer, and \(rows.count) of its "
              + "\(picture.description.height) rows are as they were, the first of them \(rows[0])")
        }
        record.report.controls += 1
      }
    }
    record.report.observers = [.v4l2Capture]
    record.report.proofs = []
    record.report.verdict = .shared
    record.report.reason =
      "\(device.name) wrote two pictures of its own into every row of the buffer, and the exporter saw them; what a camera sees "
      + "is not known, so that no pixel could be compared, and that it reads a buffer was not shown"
  }

  // MARK: - What they share

  /// Makes a look with the buffer in a format that the device has.
  private func setUp(
    _ description: BufferDescription, _ route: VideoRoute, _ record: CellRecord,
    _ make: (BufferDescription) throws(PrimeError) -> VideoLook
  ) throws -> VideoLook {
    try declining(by: .importer) {
      let window = try VideoWindow(onto: description, through: route, kernel: kernel).description
      let look = try make(window)
      record.report.shownAs = window.fourcc.name
      if window.fourcc != description.fourcc {
        record.report.formatObjection = "\(importer.name) has no format with the bytes of \(description.fourcc)"
      }
      return look
    }
  }

  /// A program that has the device is no driver's refusal.
  private func declining<Result: ~Copyable>(by refuser: Refuser, _ body: () throws -> Result) throws -> Result {
    do {
      return try Stop.declining(.refused, by: refuser, body)
    } catch var stop as Stop where stop.error?.errno == .busy {
      stop.verdict = .untested
      stop.refusedBy = nil
      throw stop
    }
  }

  private func see(
    _ look: VideoLook, _ description: BufferDescription, _ examination: Examination, by observer: ObserverName,
    _ record: CellRecord
  ) throws {
    try deadline.check("observe", on: importer.name)
    let picture = try declining(by: .either) { try look.look(deadline: deadline) }
    let layout = try PictureLayout.checked(
      format: description.layout.format, width: description.width, height: description.height,
      planes: picture.layout.planes, operation: "VIDIOC_G_FMT", on: importer.name)
    let mismatch = try examination.look(
      at: picture.bytes.span, layout: layout, ignoringUnusedBits: true, wasAltered: true)
    try record.seen(mismatch, by: observer)
  }

  private func conclude(_ look: VideoLook, _ observer: ObserverName, _ record: CellRecord) throws {
    look.close()
    record.report.observers = [observer]
    record.report.proofs = [observer]
    record.report.verdict = .proven
  }
}

extension Pattern {
  /// The rows of the first plane that nobody wrote since this pattern was written: more of a row is as it was than can be by
  /// chance.
  func unwrittenRows(_ bytes: Span<UInt8>, layout: PictureLayout) throws -> [Int] {
    let place = layout.planes[0]
    let rowBytes = layout.rowBytes(ofPlane: 0)
    var marked = [UInt8](repeating: 0, count: layout.byteCount)
    var span = marked.mutableSpan
    try fill(&span, layout: layout)
    return (0..<layout.rows(ofPlane: 0)).filter { y in
      let start = place.offset + y * place.pitch
      let same = (start..<start + rowBytes).count { marked[$0] == bytes[$0] }
      // One byte of 256 is equal by chance, and an unused byte of four always.
      return same > rowBytes / 2
    }
  }
}
