import Testing

@testable import Prime
@testable import PrimeVerify

/// What is said of an import that was refused, from what third parties do with both sides.
@Suite("The reason of a refused import")
struct RefusalReasonTests {
  private func sentence(
    _ taking: RefusalEvidence.Taking, _ giving: RefusalEvidence.Giving, errno: Errno = .invalidArgument,
    advertised: Bool? = nil
  ) -> String {
    RefusalReason.sentence(
      exporter: "maker", importer: "taker", RefusalEvidence(taking: taking, giving: giving), errno: errno,
      byteCount: 3_145_728, advertised: advertised)
  }

  @Test func `on a display is a guess where either side may have refused, and the errno's meaning elsewhere`() {
    let refused = PrimeError(operation: "drmPrimeFDToHandle", errno: .noSuchDevice, subject: "taker")
    #expect(
      Stop(verdict: .refused, refusedBy: .either).explanation(of: refused)
        == "its driver imports only what it exported itself; \(Remedy.wholeMatrix)")
    #expect(Stop(verdict: .refused, refusedBy: .importer).explanation(of: refused) == "No such device")
    let known = refused.explained("it is too large")
    #expect(Stop(verdict: .refused, refusedBy: .either).explanation(of: known) == "it is too large")
  }

  @Test(
    "holds against a driver only what it claims",
    arguments: [
      (true as Bool?, "; that it advertises DRM_CAP_PRIME import says nothing"),
      (false, "; nor does it advertise DRM_CAP_PRIME import"), (nil, ""),
    ])
  func claim(advertised: Bool?, ending: String) {
    #expect(
      sentence(
        .refuses(["udmabuf", "vgem"], .notImplemented), .taken(by: "vkms"), errno: .notImplemented,
        advertised: advertised)
        == "taker takes no buffers of other devices, and refuses a page of udmabuf and vgem too, while vkms takes this "
        + "buffer of maker: its driver or the exporter's does not implement it\(ending)")
  }

  @Test func `names an importer that needs contiguous memory, and what would do`() {
    #expect(
      sentence(.takesOnlyAPage(of: "udmabuf", .invalidArgument), .taken(by: "vgem"))
        == "taker takes a page of udmabuf and refuses 3145728 bytes of it (EINVAL): it needs contiguous memory; 3145728 "
        + "bytes of its own or of a heap of contiguous memory (heap:linux,cma) would do")
  }

  @Test func `tells an importer without room from one that needs contiguous memory`() {
    #expect(
      sentence(.takesOnlyAPage(of: "udmabuf", .noSpace), .taken(by: "vgem"), errno: .noSpace)
        == "taker takes a page of udmabuf and refuses 3145728 bytes of it (ENOSPC): its address space or its memory for "
        + "mappings is too small for that")
  }

  @Test func `blames an exporter only where the importer takes as much of another and a neutral device refuses too`() {
    #expect(
      sentence(.takes(from: "udmabuf"), .refused(by: "vgem", .notImplemented), errno: .notImplemented)
        .hasPrefix("maker hands its buffers to no other device: vgem refuses this one too, while taker takes as much"))
    #expect(sentence(.takes(from: "udmabuf"), .unknown).hasPrefix("not known which side refuses: "))
  }

  @Test(
    "points at a side only where something tells",
    arguments: [
      (RefusalEvidence.Taking.takes(from: "a"), RefusalEvidence.Giving.refused(by: "b", .busy), Refuser.exporter),
      (.takes(from: "a"), .taken(by: "b"), .either), (.takes(from: "a"), .unknown, .either),
      (.refuses(["a"], .busy), .taken(by: "b"), .importer), (.refuses(["a"], .busy), .unknown, .importer),
      (.refuses(["a"], .busy), .refused(by: "b", .busy), .either),
      (.takesOnlyAPage(of: "a", .busy), .taken(by: "b"), .importer),
      (.takesOnlyAPage(of: "a", .busy), .refused(by: "b", .busy), .either), (.unknown, .taken(by: "b"), .either),
      (.unknown, .refused(by: "b", .busy), .either), (.unknown, .unknown, .either),
    ])
  func side(taking: RefusalEvidence.Taking, giving: RefusalEvidence.Giving, refuser: Refuser) {
    #expect(RefusalEvidence(taking: taking, giving: giving).refuser == refuser)
  }
}
