import Foundation
import Prime
import PrimeVerify
import Testing

extension ToolOnARealKernel {
  @Suite("The matrix of the lab")
  struct VerifyMatrix {
    static let devices = ["cirrus", "qxl", "bochs-drm", "virtio_gpu", "vgem", "vkms"]

    /// What was measured on Linux 6.12, exporter by exporter; the columns are `devices`.
    static let expected: [(exporter: String, cells: [String])] = [
      ("cirrus", ["proven", "ENOSYS", "EINVAL", "ENODEV", "shared", "proven"]),
      ("qxl", ["ENOSYS", "proven", "EINVAL", "ENOSYS", "ENOSYS", "ENOSYS"]),
      ("bochs-drm", ["ENOSYS", "ENOSYS", "proven", "ENOSYS", "ENOSYS", "ENOSYS"]),
      ("virtio_gpu", ["shared", "ENOSYS", "EINVAL", "proven", "shared", "proven"]),
      ("vgem", ["shared", "ENOSYS", "EINVAL", "ENODEV", "proven", "proven"]),
      ("vkms", ["shared", "ENOSYS", "EINVAL", "ENODEV", "shared", "proven"]),
      ("heap:system", ["shared", "ENOSYS", "EINVAL", "ENODEV", "shared", "proven"]),
      ("udmabuf", ["shared", "ENOSYS", "EINVAL", "ENODEV", "shared", "proven"]),
    ]

    /// The report of one run for all tests of this suite, with the run.
    static let run = Result {
      let ran = try Tool.run("verify", "--json", "--seed", "7", "--size", "64x64")
      return (ran, try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8)))
    }

    @Test func `holds, quietly, and leaves nothing`() throws {
      let (ran, report) = try Self.run.get()
      #expect(ran.code == 0)
      #expect(ran.standardError == "")
      #expect(report.schema == "prime-tool/verify/2")
      #expect(report.seed == 7)
      #expect(report.devices.map(\.name).sorted() == Self.devices.sorted())
      #expect(report.devices.allSatisfy { $0.problem == nil })
      #expect(report.cells.count == 48)
      #expect(
        report.summary == [
          "proven": 11, "shared": 10, "held": 0, "refused": 27, "mismatch": 0, "untested": 0, "error": 0,
        ])
      #expect(!report.interrupted)
      #expect(report.leaks.descriptors == [])
      #expect(report.leaks.dmaBufs == [])
      #expect(Tool.hasNoDMABufs())
    }

    @Test func `gives each pair the verdict that was measured`() throws {
      let report = try Self.run.get().1
      for (exporter, cells) in Self.expected {
        for (importer, expected) in zip(Self.devices, cells) {
          let found = report.cells.filter { $0.exporter == exporter && $0.importer == importer }
          try #require(found.count == 1, "\(exporter) to \(importer)")
          let cell = found[0]
          let verdict = cell.verdict == .refused ? cell.errno ?? "refused" : cell.verdict.rawValue
          #expect(verdict == expected, "\(exporter) to \(importer)")
          // An import that is refused was tried before anybody wrote or looked.
          if cell.verdict != .refused { #expect(cell.controls >= 1, "\(exporter) to \(importer)") }
          #expect(cell.mismatch == nil)
          #expect(cell.width == 64 && cell.height == 64 && cell.format == "XRGB8888" && cell.modifier == "linear")
        }
      }
      let passing = report.cells.filter(\.verdict.passes)
      #expect(passing.count { $0.exporter == $0.importer } == 6)
      #expect(passing.count { $0.exporter != $0.importer } == 15)
    }

    @Test func `says of each refusal which call, which errno, who and why`() throws {
      let report = try Self.run.get().1
      for cell in report.cells where cell.verdict == .refused {
        #expect(cell.call == "drmPrimeFDToHandle")
        #expect(cell.reason?.isEmpty == false)
        // bochs-drm and qxl give nothing to anybody, and three devices take nothing from anybody: where both meet, nobody
        // can tell.
        let gives = !["bochs-drm", "qxl"].contains(cell.exporter)
        let takes = ["vgem", "vkms", "cirrus"].contains(cell.importer)
        let refuser: Refuser? =
          switch (gives, takes) {
          case (true, false): .importer
          case (false, true): .exporter
          case (false, false): .either
          case (true, true): nil
          }
        #expect(cell.refusedBy == refuser, "\(cell.exporter) to \(cell.importer)")
      }
    }

    @Test func `proves what arrives at vkms by its display engine, and elsewhere says no more than it knows`() throws {
      let report = try Self.run.get().1
      for cell in report.cells where cell.verdict.passes {
        let isOwn = cell.exporter == cell.importer
        let expected: [ObserverName] =
          switch (isOwn, cell.importer) {
          case (true, "vkms"): [.writeback, .nativeMap, .identity]
          case (true, _): [.nativeMap, .identity]
          case (false, "vkms"): [.writeback, .identity]
          case (false, _): [.identity]
          }
        #expect(cell.observers == expected, "\(cell.exporter) to \(cell.importer)")
        #expect(cell.verdict == (expected.contains(where: \.isProof) ? .proven : .shared))
      }
    }

    @Test func `says what SYNC did for each importer, and whether that was seen`() throws {
      for cell in try Self.run.get().1.cells where cell.verdict.arrives {
        let sync = try #require(cell.sync)
        #expect(sync.waitsForFences == true, "\(cell.exporter) to \(cell.importer)")
        let expected: SyncEffect.Reach =
          switch cell.exporter {
          case "heap:system": .everyAttachment
          case "udmabuf": .ownMapping
          default: .none
          }
        #expect(sync.reach == expected, "\(cell.exporter) to \(cell.importer)")
        #expect(sync.evidence != nil)
      }
    }

    @Test func `of pictures with a buffer for each plane is that of pictures in one buffer`() throws {
      let pairs = ["--exporter", "vgem", "--exporter", "udmabuf", "--importer", "vgem", "--importer", "vkms"]
      func cells(_ options: [String]) throws -> [CellReport] {
        let ran = try RunningTool(["verify", "--json", "--size", "64x64", "--format", "NV12"] + options + pairs)
          .finish()
        #expect(ran.code == 0, "\(ran.standardError)")
        return try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8)).cells
      }
      let (whole, disjoint) = (try cells([]), try cells(["--disjoint"]))
      #expect(disjoint.map(\.verdict) == [.proven, .shared, .shared, .shared])
      #expect(disjoint.map(\.verdict) == whole.map(\.verdict))
      #expect(disjoint.map(\.observers) == whole.map(\.observers))
      #expect(disjoint.allSatisfy { $0.disjoint == true })
      #expect(whole.allSatisfy { $0.disjoint == nil })
    }

    /// vkms fetches luma and chroma from 7.2 on, and takes every plane from the first buffer (`packed_pixels_addr`, `map[0]`).
    @Test func `of luma and chroma is what the importer's display makes of them`() throws {
      func cell(_ options: [String]) throws -> CellReport {
        let ran = try RunningTool(
          ["verify", "--json", "--size", "64x64", "--exporter", "udmabuf", "--importer", "vkms"] + options
        ).finish()
        return try #require(
          try JSONDecoder().decode(VerifyReport.self, from: Data(ran.standardOutput.utf8)).cells.first)
      }
      let fetches = !["6.1.", "6.12."].contains(where: try #require(Tool.release).hasPrefix)
      for format in ["NV12", "NV21", "NV16", "P010", "YUV420", "YVU420"] {
        let whole = try cell(["--format", format])
        #expect(whole.verdict == (fetches ? .proven : .shared), "\(format): \(whole.reason ?? "")")
        #expect(whole.conversion == (fetches ? "BT.601 limited, within 3 of 255" : nil))
        guard !fetches else { continue }
        let writeback = try #require(whole.tried.first { $0.observer == .writeback })
        #expect(writeback.reason?.contains("does not fetch \(format)") == true, "\(writeback.reason ?? "")")
      }
      let disjoint = try cell(["--format", "NV12", "--disjoint"])
      #expect(disjoint.verdict == (fetches ? .mismatch : .shared))
      #expect(
        !fetches
          || disjoint.reason?.hasSuffix("the chroma from the first dma-buf, at the place that it has in its own")
            == true
      )
    }

    @Test func `has the keys of its schema`() throws {
      let report = try Self.run.get().0.json()
      #expect(
        report.keys.sorted() == ["cells", "devices", "host", "interrupted", "leaks", "schema", "seed", "summary"])
      let cells = try #require(report["cells"] as? [[String: Any]])
      let refused = try #require(cells.first { $0["verdict"] as? String == "refused" })
      #expect(
        refused.keys.sorted() == [
          "allocator", "call", "controls", "errno", "exporter", "exporterNode", "format", "height", "importer",
          "importerNode", "modifier", "nanoseconds", "observers", "reason", "refusedBy", "tried", "verdict", "width",
        ])
      let host = try #require(report["host"] as? [String: Any])
      #expect(host["kernel"] as? String == Tool.release)
    }

    @Test func `is the same again with the same seed, but for the times`() throws {
      func run(_ seed: String) throws -> String {
        var report = try Tool.run(
          "verify", "--json", "--seed", seed, "--size", "17x3", "--exporter", "vgem", "--exporter", "heap",
          "--importer", "vkms"
        ).json()
        let cells = try #require(report["cells"] as? [[String: Any]])
        report["cells"] = cells.map { $0.filter { $0.key != "nanoseconds" } }
        let data = try JSONSerialization.data(withJSONObject: report, options: [.sortedKeys, .prettyPrinted])
        return String(decoding: data, as: UTF8.self)
      }
      let first = try run("41")
      #expect(try run("41") == first)
      #expect(try run("42") == first.replacing("\"seed\" : 41", with: "\"seed\" : 42"))
    }

    @Test func `is told as text that a person reads`() throws {
      let ran = try Tool.run(
        "verify", "--seed", "7", "--size", "64x32", "--exporter", "vgem", "--exporter", "bochs-drm", "--importer",
        "vkms", "--importer", "cirrus", "--importer", "virtio_gpu")
      #expect(ran.code == 0)
      #expect(ran.standardError == "")
      let expected = """
        64x32 XRGB8888
        exporter \\ importer  vkms      cirrus    virtio_gpu
        vgem dumb            proven W  shared    - ENODEV
        bochs-drm dumb       - ENOSYS  - ENOSYS  - ENOSYS

        proven   the importer's engine read the buffer and saw what was written after the import:
                 W its display engine wrote back what it fetched, C the checksum of its CRTC tells, G its Mesa driver copied it,
                 N the device that made it looked through its own mapping
        shared   the importer holds the same buffer and has mapped it; nothing here shows that its hardware reads it
        - E…     refused by the kernel with this errno

        vgem → virtio_gpu
            drmPrimeFDToHandle ENODEV: virtio_gpu takes no buffers of other devices, and refuses a page of udmabuf, heap \
        and vkms too, while vkms takes this buffer of vgem: its driver imports only what it exported itself; that it \
        advertises DRM_CAP_PRIME import says nothing
        bochs-drm → vkms, bochs-drm → cirrus
            drmPrimeFDToHandle ENOSYS: bochs-drm hands its buffers to no other device: vgem refuses this one too, while \
        vkms takes as much of udmabuf: its buffers lie in its own video memory and have no pages to hand out: no \
        get_sg_table; allocate on another device, or from udmabuf or the heap
        bochs-drm → virtio_gpu
            drmPrimeFDToHandle ENOSYS: neither side works with others here: virtio_gpu takes no buffers of other devices, \
        and refuses a page of udmabuf, heap, vgem and vkms too (ENODEV), and vgem refuses this buffer of bochs-drm

        2 of 6 pass: 1 proven, 1 shared, 0 held, 4 refused, 0 mismatch, 0 untested, 0 error · kernel \
        \(try #require(Tool.release)) · seed 7

        """
      #expect(ran.standardOutput == expected)
    }
  }
}
