internal import Prime
internal import PrimeProcesses

/// A buffer that this process allocated, exported and filled.
final class HeldBuffer {
  let picture: SharedPicture
  /// Keeps the handle where there is one.
  private let object: BufferObject

  init(
    _ pair: RulePair, _ pattern: Pattern, size: (width: Int, height: Int) = (64, 64), kernel: any KernelCalls,
    deadline: Deadline
  ) throws {
    object = try Allocators.make(pair.exporter, kernel: kernel).allocate(
      AllocationRequest(format: .xrgb8888, width: size.width, height: size.height))
    picture = try object.export(.readWrite)
    try picture.fill(pattern, deadline: deadline)
  }
}

/// A process that allocates on the exporter, sends the descriptor twice, and waits to be killed.
final class ExporterProcess {
  let description: BufferDescription
  private let child: ChildProcess
  private let socket: DescriptorSocket
  private let kernel: any KernelCalls
  private var isEnded = false

  /// Starts it and waits until it has told what it allocated.
  ///
  /// - Parameter sendingAnother: Lets the second descriptor be that of another buffer.
  init(
    _ pair: RulePair, _ pattern: Pattern, size: (width: Int, height: Int) = (64, 64), sendingAnother: Bool = false,
    kernel: any KernelCalls, deadline: Deadline
  ) throws {
    let socket = try DescriptorSocket()
    let child = try ChildProcess.start { _ in
      do {
        let held = try HeldBuffer(pair, pattern, size: size, kernel: kernel, deadline: deadline)
        let other =
          sendingAnother ? try HeldBuffer(pair, pattern, size: size, kernel: kernel, deadline: deadline) : held
        let plane = held.picture.layout.planes[0]
        let words = "\(plane.offset) \(plane.pitch) \(held.picture.description.modifier.rawValue)"
        try socket.send(Array(words.utf8), into: .first)
        try socket.send(held.picture.first.rawDescriptor, into: .first)
        try socket.send(other.picture.first.rawDescriptor, into: .first)
        // What it holds goes with the process and not before.
        withExtendedLifetime((held, other)) { Pause.forever(atMost: deadline) }
      } catch {
        try? socket.send(Array("error \(error)".utf8), into: .first)
      }
    }.get()
    do {
      let words = String(decoding: try socket.receiveBytes(at: .second, deadline: deadline), as: UTF8.self)
      let numbers = words.split(separator: " ").compactMap { UInt64($0) }
      guard numbers.count == 3 else {
        throw PrimeError(
          operation: .allocate, finding: .broken, subject: "the exporter's process", reason: words)
      }
      description = BufferDescription(
        layout: try PictureLayout.checked(
          format: .xrgb8888, width: size.width, height: size.height,
          planes: [PlaneLayout(offset: Int(clamping: numbers[0]), pitch: Int(clamping: numbers[1]))],
          operation: .allocate, on: pair.exporter.name), modifier: Modifier(rawValue: numbers[2]))
    } catch {
      child.kill()
      _ = child.reap(within: .seconds(1))
      throw error
    }
    self.child = child
    self.socket = consume socket
    self.kernel = kernel
  }

  /// The next descriptor that it sent.
  func receive(deadline: Deadline) throws(PrimeError) -> SharedPicture {
    let number = try socket.receive(at: .second, deadline: deadline)
    return try .made(description, DMABuf(adopting: Descriptor(adopting: number, kernel: kernel)))
  }

  /// Sends it SIGKILL, and gives how it ended.
  func kill() -> ChildProcess.End? {
    isEnded = true
    child.kill()
    return child.reap(within: .seconds(10))
  }

  func end() {
    if !isEnded { _ = kill() }
  }
}

/// The importer as it uses the buffer for as long as this lives: its display scans it out where it has one, and whoever can
/// look through it looks.
final class ImporterView {
  private let observers: ObserverSet
  private let record: CellRecord
  private let imported: ImportedPicture
  private let picture: SharedPicture
  private let allocator: any Allocator
  private let exporter: DeviceIdentity?
  private let deadline: Deadline
  private var shown: Scanout?
  private var hasLooked = false

  /// A picture on a wire, which nobody here can read back.
  private final class Scanout {
    // Destroyed in this order: the display goes back before its framebuffer is removed.
    let pipe: DisplayPipe
    let picture: Framebuffer

    init(_ route: DisplayRoute, _ imported: borrowing ImportedPicture, deadline: Deadline) throws(PrimeError) {
      let description = imported.description
      guard let mode = route.modes.first(where: { $0.width == description.width && $0.height == description.height })
      else {
        throw PrimeError(
          operation: .scanout, finding: .unsupported, subject: route.device.subject,
          reason: "its display has no mode of \(description.width)x\(description.height)")
      }
      picture = try imported.framebuffer()
      pipe = try DisplayPipe(route)
      try pipe.show(
        DisplayPipe.Picture(framebuffer: picture.id, shown: (mode.width, mode.height), target: nil), mode: mode,
        deadline: deadline)
    }
  }

  init(
    _ pair: RulePair, _ imported: consuming ImportedPicture, of picture: borrowing SharedPicture,
    kernel: any KernelCalls, deadline: Deadline
  ) throws {
    self.imported = imported
    self.picture = try picture.duplicate()
    self.deadline = deadline
    let device = try pair.exporter.node.map { node throws(PrimeError) in try Device.open(node, kernel: kernel) }
    allocator = try Allocators.make(pair.exporter, on: device, kernel: kernel)
    exporter = device?.identity
    record = CellRecord(
      CellReport(
        exporter: pair.exporter.name, exporterNode: nil, importer: pair.importer.name, importerNode: nil,
        allocator: pair.exporter.allocator, format: "XRGB8888", modifier: nil, width: picture.layout.width,
        height: picture.layout.height))
    observers = ObserverSet(deadline: deadline, record: record)
  }

  /// The mode that a display on a wire would show; a small picture where there is none, or where it writes back.
  static func size(for pair: RulePair, kernel: any KernelCalls) -> (width: Int, height: Int) {
    guard let node = pair.importer.node, let device = try? Device.open(node, kernel: kernel),
      (try? device.becomeMaster()) != nil
    else { return (64, 64) }
    defer { device.dropMaster() }
    guard (try? DisplayRoute(on: device, to: .writeback)) == nil,
      let route = try? DisplayRoute(on: device, to: .connected),
      let mode = route.modes.min(by: { $0.width * $0.height < $1.width * $1.height })
    else { return (64, 64) }
    return (mode.width, mode.height)
  }

  /// The dma-bufs that looking needed.
  var inodes: Set<UInt64> { record.inodes }

  /// Lets everybody look who can, and notes what is not the pattern.
  func look(_ pattern: Pattern, wrong: Pattern, _ when: String, _ facts: inout RuleFacts) throws {
    let examination = Examination(expected: pattern, wrong: wrong)
    do {
      if hasLooked {
        try observers.secondLook(examination)
      } else {
        hasLooked = true
        try observers.firstLook(
          at: imported, of: picture, from: exporter, allocator: allocator, examination)
        if !observers.confirmed.contains(.writeback) { try showOnWire() }
      }
    } catch let stop as Stop {
      guard let mismatch = stop.mismatch else { throw stop.error ?? stop }
      facts.expect(false, else: "the look \(when): \(mismatch.sentence)")
    }
  }

  private func showOnWire() throws {
    do throws(PrimeError) {
      try imported.device.becomeMaster()
      shown = try Scanout(
        DisplayRoute(on: imported.device, to: .connected), imported, deadline: deadline)
    } catch {
      // No display, or none that takes this buffer: then holding it is all that this importer does.
      guard !error.isBreakage else { throw error }
      imported.device.dropMaster()
    }
  }

  /// Puts the display back, and says how the buffer was used.
  func close() throws -> String {
    let names = observers.confirmed.map(\.rawValue).joined(separator: ", ")
    let way = shown == nil ? "" : ", while its display scanned it out"
    try shown?.pipe.close()
    shown = nil
    try observers.close()
    return "seen by \(names)\(way)"
  }
}
