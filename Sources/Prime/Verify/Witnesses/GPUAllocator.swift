internal import Prime

/// Buffers that a GPU draws, in a program of its own: nothing here writes them.
///
/// Only touched on the one thread that does a check.
final class GPUAllocator: Allocator, @unchecked Sendable {
  /// A buffer, who draws it, and what carries that to everybody else.
  private struct Drawn {
    let witness: Witness
    let copies: TwoCopies?
  }

  private let program: WitnessProgram
  private let device: Device
  private let primary: DRMNode?
  /// The node that the program draws through; the primary one after the render node turned out not to allocate.
  private var drawsThrough: DRMNode
  private var drawn: [UInt64: Drawn] = [:]

  /// Draws with the GPU of an open device.
  ///
  /// - Parameter primary: Drawn through where the device's own node does not allocate.
  init(_ program: WitnessProgram, on device: Device, otherwise primary: DRMNode? = nil) {
    self.program = program
    self.device = device
    self.primary = primary
    drawsThrough = device.node
  }

  var kind: AllocatorKind { .gpu }
  var node: DRMNode? { drawsThrough }

  /// Has the program make a buffer and draw something into it.
  func allocate(_ request: AllocationRequest) throws(PrimeError) -> BufferObject {
    let picture = try request.packedLayout(operation: .witness, on: device.subject)
    let witness = try Witness(program, on: drawsThrough, for: picture, modifier: .linear)
    do throws(PrimeError) {
      return try allocate(picture, by: witness)
    } catch {
      // As for GBMAllocator: Mesa's software driver allocates dumb buffers, which a render node does not make.
      guard witness.refusal == .permissionDenied, drawsThrough.kind == .render, let primary else { throw error }
      drawsThrough = primary
    }
    return try allocate(picture, by: Witness(program, on: drawsThrough, for: picture, modifier: .linear))
  }

  private func allocate(_ picture: PictureLayout, by witness: Witness) throws(PrimeError) -> BufferObject {
    do {
      let unknown = Pattern(seed: .random(in: .min ... .max), index: 0)
      let handedOver = try witness.draw(deadline: Deadline(in: .seconds(30))) { bytes, layout in
        try unknown.fill(&bytes, layout: layout)
      }
      guard let made = handedOver else {
        throw PrimeError.untestable(.witness, on: program.name, reason: "no buffer was handed over")
      }
      let description = made.picture.description
      guard description.fourcc == picture.format.fourcc, description.width == picture.width,
        description.height == picture.height
      else {
        throw PrimeError.untestable(
          .witness, on: program.name,
          reason: "\(program.name) hands over a picture of \(description) where \(picture.width)x\(picture.height) "
            + "\(picture.format.fourcc) was asked for")
      }
      let picture = try made.picture.duplicate()
      drawn[picture.first.identity.inode] = Drawn(
        witness: witness, copies: try TwoCopies(of: picture, on: device, madeBy: device.identity))
      return BufferObject(adopting: picture)
    } catch let error as PrimeError {
      throw error
    } catch {
      throw .untestable(.witness, on: program.name, reason: "\(error)")
    }
  }

  /// Draws a picture into a buffer of this allocator's, and has it carried to where everybody else looks.
  func draw(
    into picture: borrowing SharedPicture, deadline: Deadline,
    _ fill: (inout MutableSpan<UInt8>, PictureLayout) throws -> Void
  ) throws {
    guard let entry = drawn[picture.first.identity.inode] else {
      throw PrimeError.untestable(.witness, on: program.name, reason: "nobody draws into this buffer")
    }
    _ = try entry.witness.draw(deadline: deadline, fill)
    guard let copies = entry.copies else { return }
    let before = try Self.bytes(of: picture.first, deadline)
    try copies.renew(.fromHost, deadline: deadline)
    if try Self.bytes(of: picture.first, deadline) != before { entry.witness.needs(.fromHost) }
  }

  private static func bytes(of buffer: borrowing DMABuf, _ deadline: Deadline) throws -> [UInt64] {
    try buffer.read(as: UInt64.self, deadline: deadline) { words in
      // Safe: the copy is made while the memory is mapped.
      unsafe words.withUnsafeBufferPointer { unsafe Array($0) }
    }
  }

  /// What is to be said of two copies that nobody else transfers, and of a renderer that is no GPU; nil where there is neither.
  func warning(on picture: borrowing SharedPicture) -> String? {
    guard let report = report(on: picture) else { return nil }
    let renderer: String? =
      switch report.kind {
      case .device: nil
      case .software: "no GPU drew this: \(report.renderer) of \(report.program) computes on the processor"
      case .unknown: "nothing tells whether a GPU drew this: \(report.renderer) of \(report.program)"
      }
    let copies = report.transfer == nil ? nil : TwoCopies.warning(device.driver, .fromHost)
    let sentences = [renderer, copies].compactMap(\.self)
    return sentences.isEmpty ? nil : sentences.joined(separator: "; ")
  }

  /// Ends who draws a buffer, and closes what carries it over; the buffer itself stays.
  func forget(_ picture: borrowing SharedPicture) { drawn[picture.first.identity.inode] = nil }

  /// Who draws a buffer.
  func report(on picture: borrowing SharedPicture) -> WitnessReport? {
    drawn[picture.first.identity.inode]?.witness.report
  }
}
