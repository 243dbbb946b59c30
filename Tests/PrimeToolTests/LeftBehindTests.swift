import Foundation
import Glibc
import Prime
import Testing

extension ToolOnARealKernel {
  /// What a client left behind that is no longer master: a gamma table and a mirrored plane, as a compositor on another
  /// virtual terminal does.
  @Suite("A display that another program set up")
  struct LeftBehind {
    /// A program that showed a picture on vkms, inverted and mirrored, and gave up mastership.
    private final class Client {
      let device: Device
      private let framebuffer: Framebuffer
      private let picture: DMABuf
      let crtc: UInt32
      let plane: UInt32
      let connector: UInt32

      /// An inverted ramp: 256 entries of red, green, blue and nothing, 16 bits each.
      static let gamma = (0..<256).flatMap { index -> [UInt8] in
        let value = UInt16((255 - index) * 257)
        let bytes = [UInt8(truncatingIfNeeded: value), UInt8(value >> 8)]
        return bytes + bytes + bytes + [0, 0]
      }
      /// `DRM_MODE_ROTATE_0` and `DRM_MODE_REFLECT_X`.
      static let rotation: UInt64 = 0x11

      init() throws {
        let node = try #require(DeviceDiscovery().devices().first { $0.driver == "vkms" }?.primary)
        device = try Device.open(node)
        try device.becomeMaster()
        let (kernel, file) = (device.kernel, device.rawDescriptor)
        for capability: UInt64 in [2, 3] { try kernel.setClientCapability(file, capability, 1).get() }
        let resources = try kernel.kmsResources(file).get()
        crtc = try #require(resources.crtcs.first)
        connector = try #require(resources.connectors.first)
        let planes = try kernel.kmsPlanes(file).get()
        plane = try #require(
          try planes.first { plane in
            try kernel.kmsProperties(file, object: plane, kind: .plane).get().contains {
              $0.name == "type" && $0.value == 1
            }
          })
        let mode = try #require(
          try kernel.kmsModes(file, connector: connector).get().first {
            try DisplayMode(parsing: $0).description.hasPrefix("1024x768@60")
          })
        let request = AllocationRequest(
          format: try #require(PixelFormat(Fourcc(rawValue: 0x3432_5258))), width: 1024, height: 768)
        let object = try DumbAllocator(device: device.reopened()).allocate(request)
        picture = try object.export(.readWrite)
        framebuffer = try Framebuffer(GEMHandle(importing: picture, into: device), object.description)
        try set([
          (crtc, .crtc, "MODE_ID", UInt64(kernel.kmsCreateBlob(file, bytes: mode).get())), (crtc, .crtc, "ACTIVE", 1),
          (crtc, .crtc, "GAMMA_LUT", UInt64(kernel.kmsCreateBlob(file, bytes: Self.gamma).get())),
          (connector, .connector, "CRTC_ID", UInt64(crtc)), (plane, .plane, "CRTC_ID", UInt64(crtc)),
          (plane, .plane, "FB_ID", UInt64(framebuffer.id)), (plane, .plane, "SRC_X", 0), (plane, .plane, "SRC_Y", 0),
          (plane, .plane, "SRC_W", 1024 << 16), (plane, .plane, "SRC_H", 768 << 16), (plane, .plane, "CRTC_X", 0),
          (plane, .plane, "CRTC_Y", 0), (plane, .plane, "CRTC_W", 1024), (plane, .plane, "CRTC_H", 768),
          (plane, .plane, "rotation", Self.rotation),
        ])
        device.dropMaster()
      }

      /// Switches everything off and leaves nothing behind for the next test.
      func end() throws {
        try device.becomeMaster()
        try set([
          (crtc, .crtc, "ACTIVE", 0), (crtc, .crtc, "MODE_ID", 0), (crtc, .crtc, "GAMMA_LUT", 0),
          (connector, .connector, "CRTC_ID", 0), (plane, .plane, "CRTC_ID", 0), (plane, .plane, "FB_ID", 0),
          (plane, .plane, "rotation", 1),
        ])
        device.dropMaster()
      }

      private func set(_ values: [(object: UInt32, kind: KMSObjectKind, name: String, value: UInt64)]) throws {
        let assignments = try values.map { object, kind, name, value in
          let list = try device.kernel.kmsProperties(device.rawDescriptor, object: object, kind: kind).get()
          let property = try #require(list.first { $0.name == name }, "no \(name)")
          return KMSAssignment(object: object, property: property.id, value: value)
        }
        _ = try device.kernel.kmsCommit(
          device.rawDescriptor, assignments: assignments, outFences: [], flags: 0x400, userData: 0
        ).get()
      }

      /// The bytes of the gamma table and the rotation that the display has now.
      func leftovers() throws -> (gamma: [UInt8], rotation: UInt64) {
        func value(_ object: UInt32, _ kind: KMSObjectKind, _ name: String) throws -> UInt64 {
          let list = try device.kernel.kmsProperties(device.rawDescriptor, object: object, kind: kind).get()
          return try #require(list.first { $0.name == name }).value
        }
        let blob = UInt32(try value(crtc, .crtc, "GAMMA_LUT"))
        return (
          blob == 0 ? [] : try device.kernel.kmsBlob(device.rawDescriptor, id: blob).get(),
          try value(plane, .plane, "rotation")
        )
      }
    }

    private func beside(
      _ arguments: [String], meanwhile: (RunningTool) throws -> Void = { _ in }, _ body: (Ran) throws -> Void
    ) throws {
      try beside(command: [Tool.path] + arguments, meanwhile: meanwhile, body)
    }

    /// Runs a command while the client's picture is shown, and looks that it is shown afterwards.
    private func beside(
      command: [String], meanwhile: (RunningTool) throws -> Void = { _ in }, _ body: (Ran) throws -> Void
    ) throws {
      let client = try Client()
      // Where the kernel maps a framebuffer is not what it shows.
      func state() throws -> [Substring] {
        try Tool.displayState().split(separator: "\n").filter { !$0.contains("vaddr=") && !$0.contains("refcount=") }
      }
      let before = try state()
      let tool = try RunningTool(command: command)
      try meanwhile(tool)
      let ran = try tool.finish(within: .seconds(300))
      let after = try state()
      let left = try client.leftovers()
      #expect(left.gamma == Client.gamma)
      #expect(left.rotation == Client.rotation)
      let changes = after.difference(from: before)
      #expect(changes.isEmpty, "\(changes)")
      try client.end()
      try body(ran)
    }

    @Test(arguments: [["--format", "XRGB8888"], ["--size", "64x64"]])
    func `is proven by verify, and left as it was found`(_ more: [String]) throws {
      try beside(["verify", "--exporter", "vgem", "--importer", "vkms", "--seed", "7", "--json"] + more) { ran in
        let report = try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8))
        #expect(report.cells.map(\.verdict) == [.proven])
        #expect(report.cells.first?.observers.contains(.writeback) == true)
      }
    }

    private func outcomes(_ ran: Ran) throws -> [String: (outcome: CheckOutcome, reason: String?)] {
      let report = try JSONDecoder().decode(CheckReport.self, from: Data(ran.standardOutput.utf8))
      // A statement on several subjects is worth the last of them here; those about displays have one.
      return Dictionary(report.statements.map { ($0.id, ($0.outcome, $0.reason)) }, uniquingKeysWith: { $1 })
    }

    /// K13 lights the display by atomic calls, J17 and K23 by older ones, M03 flips.
    private static let check = ["check", "--json", "--device", "vkms", "--only", "A01,K13,J17,J18,K23,M03"]

    @Test func `is left alone by check, which names the process that has it open`() throws {
      try beside(Self.check) { ran in
        let outcomes = try outcomes(ran)
        #expect(outcomes["A01"]?.outcome == .pass)
        for id in ["K13", "J17", "J18"] {
          #expect(outcomes[id]?.outcome == .skip)
          let reason = try #require(outcomes[id]?.reason)
          let expected = /\(pid \d+\) has \/dev\/dri\/cardN open, and Virtual-1 is connected: --modeset takes/
          #expect(steady(reason).contains(expected), "\(reason)")
        }
      }
    }

    @Test func `is taken by check where that is asked for, and left as it was found`() throws {
      try beside(Self.check + ["--modeset"]) { ran in
        for (id, result) in try outcomes(ran) {
          #expect([CheckOutcome.pass, .knownDeviation].contains(result.outcome), "\(id): \(result.reason ?? "")")
        }
      }
    }

    @Test(
      arguments: [
        ([], ObserverName.writeback), (["--connector", "Virtual-1"], .crc), (["--overlay", "udmabuf"], .writeback),
        (["--connector", "Virtual-1", "--legacy"], .crc),
      ] as [([String], ObserverName)])
    func `is proven by scanout, and left as it was found`(_ more: [String], witness: ObserverName) throws {
      try beside(
        ["scanout", "--from", "vgem", "--on", "vkms", "--frames", "3", "--seed", "7", "--mode", "640x480", "--json"]
          + more
      ) { ran in
        let report = try JSONDecoder().decode(ScanoutReport.self, from: Data(ran.standardOutput.utf8))
        #expect(report.verdict == .proven, "\(report.reason ?? "")")
        #expect(report.witnesses == [witness])
        #expect(report.restored == true)
      }
    }

    /// `SIGTERM` twice in a moment is what `timeout` sends, to its child and to the group.
    @Test(arguments: [[SIGHUP], [SIGQUIT], [SIGTERM, SIGTERM]] as [[CInt]])
    func `is left by scanout as it was found at whatever signal`(_ signals: [CInt]) throws {
      try beside(
        Self.holding,
        meanwhile: { tool in
          try Self.awaitPicture(of: tool)
          for signal in signals { tool.send(signal) }
        }
      ) { ran in
        #expect(ran.code == 128 + signals[0])
        #expect(ran.standardError == "prime-tool: interrupted after 1 of 1 frames\n")
        let report = try JSONDecoder().decode(ScanoutReport.self, from: Data(ran.standardOutput.utf8))
        #expect(report.restored == true)
      }
    }

    @Test func `is put back where the process dies that showed something`() throws {
      try beside(
        Self.holding,
        meanwhile: { tool in
          try Self.awaitPicture(of: tool)
          kill(try #require(tool.children.first), SIGKILL)
        }
      ) { ran in
        #expect(ran.code == 1)
        #expect(ran.standardError == "")
        let report = try JSONDecoder().decode(ScanoutReport.self, from: Data(ran.standardOutput.utf8))
        #expect(report.verdict == .error)
        let sentence = /in the step 'hold': the process that ran this check \(\d+\) died of SIGKILL; .*/
        #expect(report.reason?.wholeMatch(of: sentence) != nil, "\(report.reason ?? "")")
        #expect(report.frames.map(\.content) == [.proven])
        #expect(report.connector == "Writeback-1")
        #expect(report.restored == true)
      }
    }

    @Test func `is put back where the whole tool is killed`() throws {
      try beside(
        Self.holding,
        meanwhile: { tool in
          try Self.awaitPicture(of: tool)
          let worker = try #require(tool.children.first)
          tool.send(SIGKILL)
          // One that has ended may wait for the lab's first process to take note of it.
          let path = "/proc/\(worker)/exe"
          #expect(
            tool.wait { (try? FileManager.default.destinationOfSymbolicLink(atPath: path)) == nil },
            "the worker lives on")
        }
      ) { ran in
        #expect(ran.code == 128 + SIGKILL)
      }
    }

    @Test func `is left by scanout as it was found where nobody reads what it says any more`() throws {
      let line = "\(Tool.path) scanout --from vgem --on vkms --mode 64x48 --frames 1000000 -v | head -3"
      try beside(command: ["sh", "-c", line]) { ran in
        #expect(ran.standardOutput.split(separator: "\n").count == 3)
        #expect(ran.standardError == "")
      }
    }

    private static let holding = [
      "scanout", "--from", "vgem", "--on", "vkms", "--mode", "64x48", "--seed", "7", "--hold", "60", "--json",
    ]

    /// Waits until the tool's own picture is on the screen, and its witness has seen it.
    private static func awaitPicture(of tool: RunningTool) throws {
      #expect(try tool.wait { try Tool.displayState().contains("crtc-pos=64x48+0+0") }, "nothing was shown")
      usleep(1_000_000)
    }
  }
}
