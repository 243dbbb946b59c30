import Foundation
import Prime
import PrimeVerify
import Testing

extension Trait where Self == ConditionTrait {
  /// Runs where every mapping of an import is a copy.
  static var onABouncedMachine: Self {
    let with = ProcessInfo.processInfo.environment["PRIME_LAB_WITH"] ?? ""
    return .enabled(
      if: with.split(whereSeparator: { " ,".contains($0) }).contains("bounced"),
      "this needs imports through bounce buffers: run it in `lab/run --bounced`")
  }
}

extension ToolOnARealKernel {
  @Suite("Imports through bounce buffers in the lab", .onABouncedMachine)
  struct Bounced {
    private static let exporters = ["heap:system", "udmabuf", "vgem", "vkms"]
    private static let importers = ["vgem", "vkms", "cirrus"]

    /// One run for the tests of this suite; 320x200 is one piece that a bounce buffer takes.
    static let run = Result {
      let ran = try Tool.run(
        ["verify", "--coherency", "--json", "--seed", "7", "--size", "320x200"]
          + exporters.flatMap { ["--exporter", $0] } + importers.flatMap { ["--importer", $0] },
        limit: .seconds(300))
      return (ran, try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8)))
    }

    @Test func `lose no picture that a display engine wrote back`() throws {
      let report = try Self.run.get().1
      #expect(report.cells.map(\.verdict.passes) == [Bool](repeating: true, count: 12))
      let shown = report.cells.filter { $0.importer == "vkms" }
      #expect(shown.map(\.verdict) == [.proven, .proven, .proven, .proven])
    }

    @Test func `are told as bounced, with what SYNC reached by measuring and tracing`() throws {
      for cell in try Self.run.get().1.cells where cell.exporter != cell.importer {
        #expect(cell.bounced == true, "\(cell.exporter) to \(cell.importer)")
        let expected =
          switch cell.exporter {
          case "heap:system": SyncEffect(waitsForFences: true, reach: .everyAttachment, evidence: .measured)
          case "udmabuf": SyncEffect(waitsForFences: true, reach: .ownMapping, evidence: .measured)
          default: SyncEffect(waitsForFences: true, reach: .none, evidence: .traced)
          }
        #expect(cell.sync == expected, "\(cell.exporter) to \(cell.importer)")
      }
    }

    @Test func `that SYNC does not renew have a warning, unless an engine read what was written`() throws {
      let warned = try Self.run.get().1.cells.filter { $0.warning != nil }.map { "\($0.exporter) → \($0.importer)" }
      #expect(warned == ["udmabuf → vgem", "udmabuf → cirrus", "vgem → cirrus", "vkms → vgem", "vkms → cirrus"])
    }

    @Test func `of a scanout have a warning in its reason`() throws {
      let ran = try Tool.run("scanout", "--from", "vgem", "--on", "cirrus", "--mode", "640x480")
      #expect(
        ran.standardOutput.contains(
          "cirrus has a copy of the buffer (swiotlb), and DMA_BUF_IOCTL_SYNC renews no importer's copy of vgem's buffers, "
            + "as far as its driver is known: hardware that reads it by DMA does not see what the CPU writes after the import"
        ),
        "\(ran.standardOutput)")
      #expect(ran.code == 0)
    }

    @Test func `need SYNC, which the heap does and others do not`() throws {
      let (ran, report) = try Self.run.get()
      #expect(ran.code == 1)
      let coherency = try #require(report.coherency)
      #expect(coherency.count == 12)
      for pair in coherency {
        let lost = pair.looks.filter { $0.observer == .cpu && $0.saw == .earlier }.map(\.variant)
        switch pair.exporter {
        case "heap:system":
          #expect(pair.answer == .neededAndKept, "\(pair.importer): \(pair.reason ?? "")")
          #expect(lost == [.unsynced, .endLeftOut, .insideReadBracket, .unsyncedThenClosed], "\(pair.importer)")
        case pair.importer:
          #expect(pair.answer == .notNeeded)
          #expect(pair.control == nil)
        case "udmabuf": #expect(pair.answer == .neededAndNotDone, "\(pair.importer): \(pair.reason ?? "")")
        default:
          #expect(pair.answer == .neededAndNotDone, "\(pair.exporter) to \(pair.importer): \(pair.reason ?? "")")
          #expect(lost == [])
        }
      }
    }

    @Test func `are seen by whoever reads where the importer's device would`() throws {
      let coherency = try #require(try Self.run.get().1.coherency)
      for pair in coherency where pair.exporter != pair.importer {
        let seen = pair.looks.filter { $0.observer == .eye }
        let stale = seen.filter { $0.saw == .earlier }.map(\.variant)
        #expect(seen.count == 5, "\(pair.exporter) to \(pair.importer)")
        #expect(!seen.contains { $0.saw == .other }, "\(pair.exporter) to \(pair.importer)")
        switch pair.exporter {
        case "heap:system": #expect(stale == [.unsynced, .endLeftOut, .insideReadBracket], "\(pair.importer)")
        default:
          #expect(
            stale == [.bracketed, .unsynced, .emptyBracket, .endLeftOut, .insideReadBracket],
            "\(pair.exporter) to \(pair.importer)")
        }
      }
    }

    @Test func `are told in a report that its schema describes`() throws {
      let path = NSTemporaryDirectory() + "prime-tool-bounced-\(getpid()).json"
      defer { unlink(path) }
      try Self.run.get().0.standardOutput.write(toFile: path, atomically: true, encoding: .utf8)
      let valid = try Tool.validate(path, "schema/verify-2.schema.json")
      #expect(valid.code == 0, "\(valid.standardError)")
    }

    private func heapToVKMS(_ arguments: String...) throws -> (ran: Ran, cell: CellReport) {
      let ran = try Tool.run(
        ["verify", "--json", "--exporter", "heap", "--importer", "vkms"] + arguments, limit: .seconds(60))
      let report = try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8))
      return (ran, try #require(report.cells.first))
    }

    @Test func `are refused by the machine where a piece is too large, with a size that is not`() throws {
      let cell = try heapToVKMS("--size", "1024x768").cell
      #expect(cell.verdict == .refused)
      #expect(cell.refusedBy == .machine)
      #expect(cell.errno == "EIO")
      #expect(cell.reason?.hasSuffix("no driver refused it; try --size 320x200") == true, "\(cell.reason ?? "")")
    }

    @Test func `are looked at with a smaller picture where nobody asked for a size`() throws {
      let (ran, cell) = try heapToVKMS()
      #expect(ran.code == 0)
      #expect(cell.width == 320 && cell.height == 200)
      #expect(cell.verdict == .proven)
      #expect(cell.asked == CellReport.Size(width: 1024, height: 768))
      let warning = cell.warning ?? ""
      #expect(
        warning.hasPrefix(
          "1024x768 cannot be imported: this machine has vkms reach the buffer through bounce buffers (swiotlb), which take "
            + "pieces of 262144 bytes at the most, and a piece of these 3145728 bytes has 1048576"), "\(warning)")
    }

    @Test func `that scanout cannot make say that a piece may be too large`() throws {
      let ran = try Tool.run("scanout", "--from", "heap", "--on", "vkms", "--mode", "1024x768")
      #expect(ran.code == 1)
      #expect(
        ran.standardOutput.contains("drmPrimeFDToHandle EIO: vkms")
          && ran.standardOutput.contains("no piece may be larger than 262144 bytes"), "\(ran.standardOutput)")
    }

    @Test func `have statements of their own, which hold, and no statement blames an honest side`() throws {
      let ran = try Tool.run(
        ["check", "--json"]
          + ["M02", "M04", "M06", "M10", "M11", "M12", "M13", "M14", "M15", "M16", "M17"].flatMap { ["--only", $0] },
        limit: .seconds(120))
      #expect(ran.code == 0, "\(ran.standardError)")
      let results = try #require(try ran.json()["statements"] as? [[String: Any]])
      func outcomes(_ id: String) -> [String: String] {
        let pairs = results.filter { $0["id"] as? String == id }.compactMap { result in
          (result["subject"] as? String).map { ($0, result["outcome"] as? String ?? "") }
        }
        return Dictionary(pairs, uniquingKeysWith: { one, _ in one })
      }
      #expect(outcomes("M02") == ["udmabuf": "pass"])
      #expect(
        outcomes("M04").filter { $0.key.hasSuffix("→ vkms") } == [
          "vgem → vkms": "pass", "cirrus → vkms": "pass", "virtio_gpu → vkms": "pass",
          "udmabuf → vkms": "knownDeviation",
          "heap → vkms": "knownDeviation",
        ])
      #expect(outcomes("M06")["heap → vkms"] == "skip")
      #expect(outcomes("M10")["heap → vkms"] == "pass")
      for id in ["M12", "M13", "M14", "M15"] {
        #expect(outcomes(id) == ["heap → vgem": "pass", "heap → vkms": "pass", "heap → cirrus": "pass"], "\(id)")
      }
      #expect(outcomes("M16") == ["udmabuf → vgem": "pass", "udmabuf → vkms": "pass", "udmabuf → cirrus": "pass"])
      #expect(outcomes("M11").count == 15)
      #expect(outcomes("M17").count == 9)
      #expect(Set(outcomes("M11").values) == ["pass"] && Set(outcomes("M17").values) == ["pass"])
    }

    @Test func `have statements that notice an altered answer`() throws {
      let ran = try Tool.run(
        ["check", "--control"]
          + ["M11", "M12", "M13", "M14", "M15", "M16", "M17"].flatMap { ["--only", $0] }, limit: .seconds(120))
      #expect(ran.code == 0, "\(ran.standardOutput)")
    }
  }
}
