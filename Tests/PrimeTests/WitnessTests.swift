import Foundation
import Testing

@testable import Prime
@testable import PrimeVerify

/// Programs that look for the tool, started for real; memory stands in for the buffer.
@Suite("A witness")
struct WitnessTests {
  static let picture = Fixture.layout("XRGB8888", width: 24, height: 16, planes: [PlaneLayout(offset: 0, pitch: 128)])
  static let patterns = (0..<3).map { Pattern(seed: 7, index: $0) }

  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path

  /// The liar, lying in one way.
  static func liar(_ way: String) throws -> WitnessProgram {
    try #require(WitnessProgram(["/usr/bin/python3", "\(root)/fixtures/witnesses/liar.py", way]))
  }

  /// Has a program look at A and then at B; what each look gave, and what was said of who looked.
  static func looks(
    _ program: WitnessProgram, within limit: Duration = .seconds(20)
  ) throws -> (first: Mismatch?, second: Mismatch?, report: WitnessReport?) {
    let kernel = LinuxKernel()
    let buffer = Descriptor(
      adopting: try kernel.createSealedMemory("a buffer", byteCount: Int64(picture.byteCount)).get(), kernel: kernel)
    var mapping = try Mapping(
      buffer.rawValue, byteCount: picture.byteCount, writable: true, offset: 0, kernel: kernel, subject: "a buffer")
    let witness = try Witness(
      program, on: DRMNode(path: "/dev/dri/renderD128", kind: .render), for: picture, modifier: .linear)
    let deadline = Deadline(in: limit)
    func look(_ index: Int) throws -> Mismatch? {
      try mapping.withMutableSpan(of: UInt8.self) { bytes in try patterns[index].fill(&bytes, layout: picture) }
      return try witness.look(
        at: buffer.rawValue, inode: nil,
        Examination(expected: patterns[index], earlier: Array(patterns[..<index]), wrong: patterns[2]),
        deadline: deadline)
    }
    let first = try look(0)
    return (first, try look(1), witness.report)
  }

  /// What is said where a look is not believed.
  static func objection(_ program: WitnessProgram, within limit: Duration = .seconds(20)) throws -> String? {
    do {
      _ = try looks(program, within: limit)
      return nil
    } catch let error as PrimeError {
      #expect(error.isUntestable)
      return error.reason
    }
  }

  @Test func `that puts the picture into the memory is believed, twice`() throws {
    let looks = try Self.looks(Self.liar("device"))
    #expect(looks.first == nil)
    #expect(looks.second == nil)
    #expect(looks.report == WitnessReport(program: "python3", renderer: "a liar", kind: .device))
    #expect(looks.report?.objection == nil)
  }

  @Test func `is software where it says so, and no proof`() throws {
    let program = try #require(WitnessProgram(["/usr/bin/python3", "\(Self.root)/examples/witness.py"]))
    let report = try #require(try Self.looks(program).report)
    #expect(report == WitnessReport(program: "python3", renderer: "a mapping", kind: .software))
    #expect(
      report.objection
        == "a mapping of python3 computes on the processor: that it reads the buffer says nothing of the device")
  }

  @Test func `that does not say what reads is no proof`() throws {
    let report = try #require(try Self.looks(Self.liar("unknown")).report)
    #expect(report.kind == .unknown)
    #expect(
      report.objection == "python3 does not say whether a device or the processor read the buffer, a liar")
  }

  @Test(
    arguments: [
      ("crash", "python3 was ended by SIGSEGV before it answered"),
      ("exit", "python3 ended with 3 before it answered"),
      ("gone", "python3 ended with 0 before it answered"),
      (
        "rubbish",
        "python3 answers against the protocol: a message of version 256 of the format; this is version 1: "
          + "use the same release on both ends"
      ),
      ("short", "python3 answers against the protocol: a message of 100 bytes that says it has 256; its kind has 256"),
      ("control-characters", "python3 answers against the protocol: a sentence that is not plain UTF-8 text"),
      ("descriptor", "python3 answers against the protocol: 1 descriptor came where 0 were announced"),
      ("size", "python3 says 15 rows in 2496 bytes, where the picture has 16 in 2496"),
      ("nothing", "python3 says that it wrote the picture, and the memory holds what it held before"),
      ("before", "python3 wrote outside of the picture: 1 bytes before the picture's first"),
      ("between", "python3 wrote outside of the picture: between its row 0 and the next"),
      ("behind", "python3 wrote outside of the picture: 1 bytes behind the picture's last"),
      ("refuse", "python3 declines (a liar): eglCreateImageKHR ENODEV: this GPU takes no such buffer"),
    ])
  func `is named and not believed`(way: String, sentence: String) throws {
    #expect(try Self.objection(Self.liar(way)) == sentence)
  }

  @Test(arguments: ["hang", "hang-later"])
  func `that hangs is ended in time, and leaves no process`(way: String) throws {
    let start = ContinuousClock.now
    let program = try Self.liar(way)
    let sentence = try #require(try Self.objection(program, within: .seconds(3)))
    #expect(sentence.hasPrefix("python3 does not answer within "), "\(sentence)")
    #expect(ContinuousClock.now - start < .seconds(6))
    #expect(Self.processes(with: "liar.py\0\(way)\0") == [])
  }

  private static func processes(with words: String) -> [String] {
    LinuxKernel().entries(of: "/proc").filter { LinuxKernel().text(of: "/proc/\($0)/cmdline")?.contains(words) == true }
  }

  @Test func `that shows the picture before is told as stale`() throws {
    let looks = try Self.looks(Self.liar("previous"))
    #expect(looks.first == nil)
    let mismatch = try #require(looks.second)
    #expect(mismatch.cause == .stale(Self.patterns[0]))
  }

  @Test func `cannot change the size of the memory`() throws {
    let looks = try Self.looks(Self.liar("shrink"))
    #expect(looks.first == nil)
    #expect(looks.second == nil)
  }

  @Test func `that is not there is named`() throws {
    let program = try #require(WitnessProgram(["/nonexistent/witness"]))
    #expect(try Self.objection(program) == "witness could not be started: No such file or directory")
    #expect(WitnessProgram([]) == nil)
  }

  @Test func `looks at formats with one plane only`() throws {
    let nv12 = Fixture.layout(
      "NV12", width: 24, height: 16,
      planes: [PlaneLayout(offset: 0, pitch: 128), PlaneLayout(offset: 4096, pitch: 128)])
    #expect(throws: PrimeError.self) {
      try Witness(
        try Self.liar("device"), on: DRMNode(path: "/dev/dri/card0", kind: .primary), for: nv12, modifier: .linear)
    }
  }

  /// Of what is asked by itself, beside the tool: only where a GPU may look and nobody else did.
  @Test func `that lies beside the tool is asked about devices with a GPU, where nobody stronger looks`() {
    #expect(GBMDriver.drivesHardware(of: "amdgpu"))
    #expect(GBMDriver.drivesHardware(of: "virtio_gpu"))
    #expect(!GBMDriver.drivesHardware(of: "vgem"))
    #expect(!GBMDriver.drivesHardware(of: "vkms"))
  }
}
