import Foundation
import Prime
import PrimeVerify
import Testing

extension ToolOnARealKernel.OnAGPU {
  /// No GPU of the lab has Vulkan: what looks is the processor, which is never a proof.
  @Suite("A witness through Vulkan")
  struct Vulkan {
    private func cell(_ witness: String, _ arguments: [String]) throws -> CellReport {
      let (ran, report) = try ToolOnARealKernel.OnAGPU.report(["--witness", witness] + arguments)
      #expect(ran.code == 0, "\(ran.standardError)")
      return try #require(report.cells.first)
    }

    /// Debian 12's lavapipe; a newer one looks.
    @Test func `says which extension its driver lacks, and costs nothing but its look`() throws {
      let cell = try cell("vulkan", ["--exporter", "udmabuf", "--importer", "vgem"])
      if let renderer = cell.witness?.renderer { try Test.cancel("\(renderer) of this machine imports dma-bufs") }
      #expect(cell.verdict == .shared)
      #expect(cell.proofs == [])
      let sentence = "this Vulkan driver lacks VK_EXT_external_memory_dma_buf"
      #expect(cell.warning?.hasPrefix("prime-witness-vulkan declines (llvmpipe (") == true, "\(cell.warning ?? "")")
      #expect(cell.warning?.hasSuffix("vkCreateDevice: \(sentence)") == true, "\(cell.warning ?? "")")
    }

    @Test func `that is not built is a usage error which says how`() throws {
      let folder = NSTemporaryDirectory() + "prime-tool-alone-\(getpid())"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(atPath: folder) }
      try FileManager.default.copyItem(atPath: Tool.path, toPath: "\(folder)/prime-tool")
      let ran = try Tool.shell("\(folder)/prime-tool verify --witness vulkan --exporter vgem --importer vgem")
      #expect(ran.code == 64)
      #expect(ran.standardError.contains("prime-witness-vulkan does not lie in \(folder), beside this program"))
    }

    /// On a lavapipe that imports dma-bufs, of which this machine's own knows nothing.
    @Suite("On a newer lavapipe", .onNewerLavapipe)
    struct OnNewerLavapipe {
      private static let folder = ProcessInfo.processInfo.environment["PRIME_LAB_VULKAN"] ?? ""

      /// The library that alters what the devices say of themselves.
      ///
      /// What the driver is loaded with comes into the guest's caches on the way, by a first look that may come too late:
      /// it has twenty seconds.
      private static let altered = Result {
        let path = "\(NSTemporaryDirectory())/prime-tool-altered-\(getpid()).so"
        let ran = try Tool.shell(
          "cc -shared -fPIC -Wl,-soname,libvulkan.so.1 -o \(path) fixtures/vulkan/altered.c"
            + " && cat \(folder)/lib/*.so* >/dev/null")
        try #require(ran.code == 0, "\(ran.standardError)")
        _ = try ToolOnARealKernel.OnAGPU.report(["--witness", words.joined(separator: " ")] + pair)
        return path
      }

      private static let words = ["\(folder)/lavapipe", "\(Tool.folder)/prime-witness-vulkan"]

      private func cell(
        altered variables: [String] = [], _ arguments: [String]
      ) throws -> (cell: CellReport, ran: Ran) {
        var words = Self.words
        let library = try Self.altered.get()
        if !variables.isEmpty {
          words =
            ["/usr/bin/env", "LD_PRELOAD=\(library)", "ALTERED_REAL=\(Self.folder)/lib/libvulkan.so.1"] + variables
            + words
        }
        let (ran, report) = try ToolOnARealKernel.OnAGPU.report(
          ["--witness", words.joined(separator: " ")] + arguments)
        return (try #require(report.cells.first), ran)
      }

      private static let pair = ["--exporter", "udmabuf", "--importer", "vgem"]

      @Test func `reads a linear buffer, and is named as software`() throws {
        let (cell, ran) = try cell(Self.pair)
        #expect(cell.verdict == .shared, "\(cell.warning ?? "")")
        #expect(cell.observers == [.gpu, .identity])
        #expect(cell.proofs == [])
        #expect(cell.witness?.kind == .software)
        #expect(cell.witness?.renderer.hasPrefix("llvmpipe (") == true)
        #expect(ran.code == 0)
      }

      /// As a buffer, whatever the format.
      @Test func `reads a format that no image is made of`() throws {
        let (cell, _) = try cell(Self.pair + ["--format", "RGB888"])
        #expect(cell.observers == [.gpu, .identity], "\(cell.warning ?? "")")
      }

      @Test func `reads it as an image where the device imports no dma-buf as a buffer`() throws {
        let (cell, _) = try cell(altered: ["ALTERED_BUFFERS=no"], Self.pair)
        #expect(cell.observers == [.gpu, .identity], "\(cell.warning ?? "")")
        let (other, _) = try self.cell(altered: ["ALTERED_BUFFERS=no"], Self.pair + ["--format", "RGB888"])
        #expect(other.observers == [.identity])
        #expect(other.warning?.contains("this witness makes no image of RGB888") == true, "\(other.warning ?? "")")
      }

      @Test func `names the extension that is missing to read`() throws {
        let name = "VK_KHR_external_memory_fd"
        let (cell, _) = try cell(altered: ["ALTERED_LACKS=\(name)"], Self.pair)
        #expect(cell.verdict == .shared)
        #expect(cell.warning?.hasSuffix("this Vulkan driver lacks \(name)") == true, "\(cell.warning ?? "")")
      }

      /// lavapipe has none: the library plays them, with the files that it is given.
      @Test func `waits for the buffer's fences as a sync_file, and gives one, in each look`() throws {
        let log = "\(NSTemporaryDirectory())/prime-tool-fences-\(getpid())"
        defer { unlink(log) }
        let (cell, _) = try cell(altered: ["ALTERED_FENCES=\(log)"], Self.pair)
        #expect(cell.observers == [.gpu, .identity], "\(cell.warning ?? "")")
        #expect(try String(contentsOfFile: log, encoding: .utf8) == "waited\ngave\nwaited\ngave\n")
      }

      @Test func `needs no sync_files, and waits itself then`() throws {
        let (cell, _) = try cell(altered: ["ALTERED_LACKS=VK_KHR_external_semaphore_fd"], Self.pair)
        #expect(cell.observers == [.gpu, .identity], "\(cell.warning ?? "")")
      }

      /// A device that has the importer's node says that it is a GPU; it has the buffer mapped, and is not believed.
      @Test func `is matched by the node, and is no GPU by its word alone`() throws {
        let (cell, _) = try cell(altered: ["ALTERED_NODE=\(Self.number(of: "vgem"))"], Self.pair)
        #expect(cell.verdict == .shared, "\(cell.warning ?? "")")
        #expect(cell.witness?.renderer == "a GPU of the tests")
        #expect(cell.witness?.kind == .software)
      }

      @Test func `that finds another device's node alone declines`() throws {
        let (cell, _) = try cell(altered: ["ALTERED_NODE=\(Self.number(of: "vkms"))"], Self.pair)
        #expect(cell.verdict == .shared)
        #expect(
          cell.warning?.contains("no Vulkan driver here has a device of /dev/dri/") == true, "\(cell.warning ?? "")")
      }

      /// The numbers of the node that the tool gives to a witness for a driver's device.
      private static func number(of driver: String) throws -> String {
        let ran = try Tool.run("list", "--json")
        let devices = try #require(try ran.json()["devices"] as? [[String: Any]])
        let device = try #require(devices.first { $0["driver"] as? String == driver })
        let path = try #require(device["render"] as? String ?? device["primary"] as? String)
        var status = stat()
        try #require(stat(path, &status) == 0)
        return "\(status.st_rdev >> 8 & 0xfff):\(status.st_rdev & 0xff)"
      }

      @Test func `draws what a display shows`() throws {
        let (cell, ran) = try cell(["--exporter", "gpu:vgem", "--importer", "vkms"])
        #expect(cell.verdict == .proven, "\(cell.reason ?? "")")
        #expect(cell.proofs == [.writeback])
        #expect(cell.drawnBy?.kind == .software)
        #expect(cell.drawnBy?.renderer.hasPrefix("llvmpipe (") == true)
        #expect(ran.code == 0)
      }

      @Test func `names the extension that is missing to draw`() throws {
        let (cell, _) = try cell(
          altered: ["ALTERED_LACKS=VK_EXT_image_drm_format_modifier"], ["--exporter", "gpu:vgem", "--importer", "vkms"])
        #expect(cell.verdict == .untested)
        #expect(
          cell.reason?.contains("this Vulkan driver lacks VK_EXT_image_drm_format_modifier") == true,
          "\(cell.reason ?? "")")
      }
    }
  }
}

extension Trait where Self == ConditionTrait {
  /// Runs where there is a Vulkan driver of software that takes dma-bufs.
  static var onNewerLavapipe: Self {
    .enabled(
      if: ProcessInfo.processInfo.environment["PRIME_LAB_VULKAN"]?.isEmpty == false,
      "this needs a newer lavapipe: export PRIME_LAB_VULKAN=$(lab/prepare --vulkan) before lab/run")
  }
}
