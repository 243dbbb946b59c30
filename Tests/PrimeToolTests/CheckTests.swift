import Foundation
import Testing

@testable import PrimeContract

extension ToolOnARealKernel {
  @Suite("check")
  struct Check {
    /// The results of one run, by id and subject.
    private func results(_ ran: Ran) throws -> [[String: Any]] {
      try #require(try ran.json()["statements"] as? [[String: Any]])
    }

    private func outcome(_ id: String, on subject: String, in results: [[String: Any]]) -> String? {
      results.first { $0["id"] as? String == id && $0["subject"] as? String == subject }?["outcome"] as? String
    }

    @Test func `of the whole contract holds on this kernel, and others can read its reports`() throws {
      let folder = NSTemporaryDirectory() + "prime-tool-check-\(getpid())"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let command =
        "prime-tool check --jobs 4 --statement-timeout 120 --timeout 800 --unplug cirrus --json --junit \(folder)/j.xml "
        + ">\(folder)/r.json; code=$?; cat \(folder)/r.json; exit $code"
      let ran = try Tool.shell(command, limit: .seconds(850))
      #expect(ran.code == 0, "\(ran.standardError)")
      let coverage = try #require(try ran.json()["coverage"] as? [String: Int])
      #expect(coverage["all"] == 226)
      #expect(coverage["advice"] == 2)
      #expect(coverage["run"] ?? 0 >= 195)
      let results = try results(ran)
      for result in results where result["outcome"] as? String == "skip" {
        #expect((result["reason"] as? String ?? "").count > 10, "\(result["id"] ?? "")")
      }
      for id in ["B10", "B11"] {
        for exporter in ["vgem", "vkms", "virtio_gpu", "cirrus"] {
          #expect(outcome(id, on: exporter, in: results) == "knownDeviation", "\(id) \(exporter)")
        }
        for exporter in ["udmabuf", "heap"] { #expect(outcome(id, on: exporter, in: results) == "pass") }
      }
      let schema = try Tool.validate("\(folder)/r.json", "schema/check-1.schema.json")
      #expect(schema.code == 0, "\(schema.standardError)")
      let junit = try Tool.shell("xmllint --noout --schema schema/junit.xsd \(folder)/j.xml")
      #expect(junit.code == 0, "\(junit.standardError)")
    }

    @Test func `prints TAP that prove takes`() throws {
      let ran = try Tool.shell(
        "prime-tool check --group A,O --tap --tap-version 13 >/tmp/a.tap; prove -e cat /tmp/a.tap")
      #expect(ran.standardOutput.contains("Result: PASS"))
      #expect(ran.code == 0, "\(ran.standardOutput)")
    }

    @Test func `prints KTAP that the kernel's own tool takes`() throws {
      // The tool ends without a word where its folder is not that of a kernel's source.
      let tree = "/tmp/prime-tool-kunit/tools/testing"
      let place = "mkdir -p \(tree) && cp -r \"$PRIME_LAB_KUNIT\" \(tree)/kunit"
      let check = "prime-tool check --group A,O --ktap >/tmp/a.ktap"
      let ran = try Tool.shell(
        "\(place) && \(check); /usr/bin/python3 -Es \(tree)/kunit/kunit.py parse /tmp/a.ktap; code=$?; "
          + "rm -r /tmp/prime-tool-kunit; exit $code", limit: .seconds(120))
      #expect(ran.code == 0, "\(ran.standardOutput.suffix(2000)) \(ran.standardError.suffix(500))")
      #expect(ran.standardOutput.contains("Testing complete. Ran "))
      #expect(!ran.standardOutput.contains("[ERROR]"))
    }

    @Test func `shows that statements can fail`() throws {
      let ran = try RunningTool(["check", "--group", "A,F,I", "--control", "--jobs", "4", "--json"])
        .finish(within: .seconds(300))
      #expect(ran.code == 0)
      let results = try results(ran).filter { $0["outcome"] as? String != "skip" }
      #expect(Set(results.compactMap { $0["id"] as? String }).count == 37)
      for result in results {
        #expect(result["outcome"] as? String == "pass", "\(result["id"] ?? "")")
        #expect(result["reason"] != nil, "\(result["id"] ?? ""): nothing noticed")
      }
    }

    @Test func `shows those fail that this kernel cannot show, where what they need is imitated`() throws {
      // A folder for each inode to come, which stays when its dma-buf is gone: no kernel that keeps its promise.
      let next = try Tool.shell(
        "prime-tool export --from udmabuf --size 64x48 -- prime-tool buffers | sed -n '2s/ .*//p'")
      let first = try #require(Int(next.standardOutput.prefix { $0.isNumber }))
      let imitation =
        "mount -t tmpfs none /sys/kernel; mkdir -p /sys/kernel/dmabuf/buffers; cd /sys/kernel/dmabuf/buffers; "
        + "mkdir $(seq \(first) \(first + 200)); for i in *; do echo 16384 >$i/size; echo drm >$i/exporter_name; done"
      let statistics = try Tool.shell(
        "unshare -m sh -c '\(imitation); prime-tool check --only D09 --device vgem --json'")
      let folder = try #require(try results(statistics).first { $0["subject"] as? String == "vgem" })
      #expect(folder["outcome"] as? String == "fail")
      #expect((folder["reason"] as? String)?.hasSuffix(" when the buffer is gone: expected false, got true") == true)
      // The system heap under a CMA heap's name, and a display that takes nobody's buffers.
      let heap = try Tool.shell(
        "ln -s system /dev/dma_heap/reserved; prime-tool check --only N12 --device qxl --json; rm /dev/dma_heap/reserved"
      )
      let taken = try #require(try results(heap).first)
      #expect(taken["outcome"] as? String == "deviation")
      #expect(
        (taken["reason"] as? String)?.contains("the displays that take it: expected one at least, got none") == true)
    }

    @Test func `in another order and several at a time says the same`() throws {
      func outcomes(_ arguments: [String]) throws -> [String: String] {
        let ran = try RunningTool(["check", "--group", "A,B,F", "--json"] + arguments).finish(within: .seconds(200))
        let pairs = try results(ran).map { result in
          let key = "\(result["id"] as? String ?? "") \(result["subject"] as? String ?? "")"
          return (key, result["outcome"] as? String ?? "")
        }
        return Dictionary(uniqueKeysWithValues: pairs)
      }
      let serial = try outcomes([])
      #expect(serial.count > 200)
      #expect(try outcomes(["--shuffle", "--seed", "5", "--jobs", "4"]) == serial)
    }

    @Test func `ends a statement that hangs, says where, and goes on`() throws {
      let ran = try RunningTool([
        "check", "--only", "A01,C14", "--device", "vgem", "--statement-timeout", "4", "--json",
      ])
      .finish()
      #expect(ran.code == 1)
      let results = try results(ran)
      #expect(outcome("A01", on: "vgem", in: results) == "pass")
      let late = try #require(results.first { $0["id"] as? String == "C14" })
      #expect(["fail", "deviation"].contains(late["outcome"] as? String))
      #expect((late["reason"] as? String)?.contains("expected an end within 4 s, got it hangs") == true)
    }

    @Test func `brings a device back whose statement was killed while it was out`() throws {
      let script = """
        for card in /sys/class/drm/card?; do
          driver=$(readlink $card/device/driver); [ "${driver##*/}" = cirrus ] && node=/dev/dri/${card##*/}
        done
        prime-tool check --only O01,O02,O03,O04 --unplug cirrus --device cirrus --json &
        check=$!
        while kill -0 $check; do
          read -r child _ </proc/$check/task/$check/children
          [ ! -e $node ] && [ -n "$child" ] && [ -z "$killed" ] && kill -9 $child && killed=yes
        done 2>/dev/null
        stat -c '%a %G' $node >&2
        wait $check
        """
      let ran = try RunningTool(command: ["bash", "-c", script]).finish(within: .seconds(100))
      let results = try results(ran)
      let killed = results.filter { ($0["reason"] as? String)?.hasPrefix("signal 9 ended the check") == true }
      #expect(killed.count == 1)
      // Those before and after it found the device.
      #expect(results.count { $0["outcome"] as? String == "pass" } == 3, "\(results.map { $0["reason"] ?? "" })")
      #expect(ran.standardError == "660 video\n")
      #expect(ran.code == 1)
    }

    @Test func `of a signal leaves no child behind`() throws {
      let tool = try RunningTool(["check", "--only", "C14"])
      #expect(
        try tool.wait(.seconds(60)) { try Tool.shell("pgrep -xc 'prime-tool|check-[0-9]+'").standardOutput == "2\n" })
      usleep(500_000)
      tool.send(SIGINT)
      let ran = try tool.finish(within: .seconds(80))
      #expect(ran.code == 130)
      #expect(ran.standardError.contains("prime-tool: interrupted after"))
      #expect(try Tool.shell("pgrep -xc 'prime-tool|check-[0-9]+'").standardOutput == "0\n")
    }

    /// As a user of these groups, or of none.
    private func asNobody(in groups: String?, _ arguments: String) throws -> Ran {
      let membership = groups.map { "--groups \($0)" } ?? "--clear-groups"
      return try Tool.shell(
        "setpriv --reuid 65534 --regid 65534 \(membership) prime-tool check --json \(arguments)", limit: .seconds(100))
    }

    @Test func `of a user who may open the nodes skips only what needs root or a closed device`() throws {
      let ran = try asNobody(in: "video,render", "--group A,D,L,N --jobs 4")
      #expect(ran.code == 0, "\(ran.standardError)")
      let results = try results(ran)
      #expect(outcome("A01", on: "vgem", in: results) == "pass")
      #expect(outcome("L01", on: "virtio_gpu", in: results) == "pass")
      func reasons(_ id: String) -> Set<String> {
        Set(results.filter { $0["id"] as? String == id }.compactMap { $0["reason"] as? String })
      }
      #expect(reasons("D08") == ["this needs debugfs, which only root may read where it is mounted"])
      #expect(reasons("L08") == ["only root can become another user to look as one"])
      #expect(reasons("N01") == ["/dev/udmabuf cannot be opened, or this kernel has none"])
    }

    @Test func `of a user who may open no node says which group to join, and passes nothing off as tested`() throws {
      let ran = try asNobody(in: nil, "")
      #expect(ran.code == 77)
      #expect(
        ran.standardError == """
          prime-tool: no device here can be opened: open on /dev/dri/card0: EACCES (Permission denied): \
          it belongs to the group video: join it with `sudo usermod -aG video $USER` and log in again

          """)
      // What is true of any file is all that can be seen.
      #expect(try results(ran).filter { $0["outcome"] as? String != "skip" }.map { $0["id"] as? String } == ["C07"])
    }

    @Test func `where there is no device ends with 77 and a report of skips`() throws {
      let hidden = "/dev/dri /sys/class/drm /dev/dma_heap"
      let ran = try Tool.shell(
        "unshare -m sh -c 'for dir in \(hidden); do mount -t tmpfs none $dir; done; mount --bind /dev/null /dev/udmabuf; "
          + "prime-tool check --json'", limit: .seconds(100))
      #expect(ran.code == 77)
      #expect(ran.standardError.hasPrefix("prime-tool: this machine shows no DRM device: load the virtual one with "))
      let results = try results(ran)
      #expect(results.count == 224)
      #expect(results.allSatisfy { $0["outcome"] as? String == ($0["id"] as? String == "C07" ? "pass" : "skip") })
    }

    @Test func `without debugfs, or with one device, runs the rest`() throws {
      let ran = try Tool.shell(
        "unshare -m sh -c 'umount /sys/kernel/debug; prime-tool check --group A,D,M --device vgem --json'",
        limit: .seconds(100))
      #expect(ran.code == 0, "\(ran.standardError)")
      let results = try results(ran)
      #expect(outcome("A01", on: "vgem", in: results) == "pass")
      #expect(outcome("M01", on: "vgem", in: results) == "pass")
      let skipped = results.filter { $0["outcome"] as? String == "skip" }
      #expect(Set(skipped.compactMap { $0["id"] as? String }).isSuperset(of: ["D08", "D10", "M03", "M06"]))
    }

    @Test func `tells in text once what is the same on many devices`() throws {
      let ran = try RunningTool(["check", "--only", "B10,G12,L10", "--jobs", "4"]).finish(within: .seconds(100))
      #expect(ran.code == 0, "\(ran.standardError)")
      #expect(
        ran.standardOutput.contains(
          "known B10 on vgem, vkms, cirrus, virtio_gpu: a mapping that begins at a page shows that page\n"))
      #expect(
        ran.standardOutput.contains(
          "skip G12: each of vgem, vkms, cirrus, virtio_gpu is built on GEM-shmem, not on GEM-VRAM\n"))
      let none = try Tool.shell("setpriv --reuid 65534 --regid 65534 --groups render prime-tool check")
      #expect(none.standardOutput.contains("skip A01-A07 A12-A15 B01-B14 "))
      #expect(none.standardOutput.contains(": vgem has no primary node here that can be opened\n"))
    }

    @Test func `and a stored report show what got worse`() throws {
      let run = "prime-tool check --group A --device vgem --json >/tmp/old.json"
      let worse = "sed '0,/\"outcome\" : \"pass\"/s//\"outcome\" : \"fail\"/' /tmp/old.json >/tmp/new.json"
      #expect(try Tool.shell("\(run) && prime-tool diff /tmp/old.json /tmp/old.json").code == 0)
      let ran = try Tool.shell("\(worse); prime-tool diff /tmp/old.json /tmp/new.json")
      #expect(ran.code == 1)
      #expect(ran.standardOutput.contains("worse  A01"))
      #expect(ran.standardOutput.contains("pass → fail"))
      let baseline = try Tool.shell("prime-tool check --group A --device vgem --baseline /tmp/new.json")
      #expect(baseline.code == 0)
      #expect(baseline.standardError.contains("1 better"))
      #expect(try Tool.shell("prime-tool diff /tmp/old.json /etc/hostname").code == 64)
      #expect(try Tool.shell("prime-tool check --baseline /nowhere.json").code == 64)
      #expect(try Tool.shell("prime-tool check --only Z99").code == 64)
    }
  }
}
