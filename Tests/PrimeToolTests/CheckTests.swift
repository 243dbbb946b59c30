import Foundation
import Testing

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
      #expect(coverage["all"] == 219)
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
      let schema = try Tool.shell(
        "/usr/bin/python3 -Es -c 'import json,sys,jsonschema;"
          + " jsonschema.validate(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])))' "
          + "\(folder)/r.json schema/check-1.schema.json", limit: .seconds(120))
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

    @Test func `of a signal leaves no child behind`() throws {
      let tool = try RunningTool(["check", "--only", "C14"])
      usleep(1_500_000)
      tool.send(SIGINT)
      let ran = try tool.finish(within: .seconds(20))
      #expect(ran.code == 130)
      #expect(ran.standardError.contains("prime-tool: interrupted after"))
      #expect(try Tool.shell("pgrep -xc prime-tool").standardOutput == "0\n")
    }

    @Test func `skips what this user may not look at, and says why`() throws {
      let ran = try Tool.shell(
        "setpriv --reuid 65534 --regid 65534 --clear-groups prime-tool check --group A,J --json", limit: .seconds(100))
      let results = try results(ran)
      #expect(results.allSatisfy { $0["outcome"] as? String == "skip" || $0["outcome"] as? String == "pass" })
      #expect(results.contains { $0["outcome"] as? String == "skip" })
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
