import Prime
import Testing

@testable import prime_tool

@Suite("A remedy")
struct RemedyTests {
  static let remedies: [(remedy: Remedy, library: String, tool: String)] = [
    (
      .moreTime, "allow more time if the machine is only slow", "raise --timeout if the machine is only slow"
    ),
    (.smallerBuffer, "use a smaller buffer", "use a smaller --size"),
    (.bufferSize(width: 320, height: 200), "try a buffer of 320x200", "try --size 320x200"),
    (.otherFormatOrSize, "try another format or size", "try another --format or --size"),
    (.format("ARGB8888"), "use ARGB8888", "use --format ARGB8888"),
    (
      .implicitModifier, "give no modifiers for an implicit one", "leave --modifier out for an implicit one"
    ),
    (.gbmAllocator, "allocate with GBM", "allocate with --allocator gbm"),
    (
      .commonMode, "choose a mode that both displays offer", "ask for a --mode that both displays offer"
    ),
    (
      .otherOverlaySize, "try another size for the overlay",
      "try another --overlay-size, and -v for the kernel's own words"
    ),
    (.coherencyCheck, "the coherency check tells more", "`verify --coherency` tells more"),
    (.writeBack, "writing back would tell", "--write-back would tell"),
    (.noWriteBack, "do not write back", "leave --write-back out"),
    (.allowedPeer(1000), "allowing user 1000 lets it", "--allow-uid 1000 lets it"),
    (
      .allowedCaller(1000), "the exporter may allow user 1000", "the exporter's --allow-uid 1000 opens it"
    ),
    (
      .exporterPath, "name the path at which the exporter listens",
      "name the path that `prime-tool export --to` was given"
    ),
    (
      .startedExporter(at: "abstract:a"), "start an exporter there, or wait longer",
      "start `prime-tool export --to abstract:a`, or raise --timeout"
    ),
    (
      .listOfDevices, "device discovery tells those of this machine",
      "`prime-tool list` shows the devices of this machine"
    ),
    (
      .wholeMatrix, "the whole matrix shows which of the two refuses",
      "`prime-tool verify` of the whole matrix shows which of the two refuses"
    ),
    (.allDevices, "choose all of them to look at more", "leave --device out to look at more"),
    (.oneJob, "one job at a time tells them apart", "--jobs 1 runs them one by one"),
    (.allowedUnplug, "name one that may be pulled out", "--unplug names one that may be"),
    (
      .allowedModeset, "allowing modesets takes the display for a moment all the same",
      "--modeset takes the display for a moment all the same"
    ),
  ]

  @Test("has the library's words, and the tool's with an option", arguments: remedies)
  func words(remedy: Remedy, library: String, tool: String) {
    #expect("\(remedy)" == library)
    #expect(remedy.toolWords == tool)
  }

  @Test("is said in the words of the program that gave some first")
  func programWords() async {
    await #expect(processExitsWith: .success) {
      Remedy.name { $0.toolWords }
      Remedy.name { _ in "something else" }
      #expect(PrimeError.commonReason(.noMemory) == "the kernel has no memory for it: use a smaller --size")
      let error = #expect(throws: PrimeError.self) { try Deadline(in: .zero).check("poll", on: "a buffer") }
      #expect(error?.reason == "it did not finish within 0 s; raise --timeout if the machine is only slow")
    }
  }
}
