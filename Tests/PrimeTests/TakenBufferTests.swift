import Testing

@testable import Prime
@testable import PrimeContract

@Suite("A buffer that an importer takes")
struct TakenBufferTests {
  /// What an importer answers for so many pages.
  private func found(
    _ pages: Int, makesPage: Bool = true, _ importer: (Int) -> CallResult<UInt32>
  ) -> (buffer: Int, answer: CallResult<UInt32>) {
    TakenBuffer.found(
      pages, orOnePage: { makesPage ? .success(1) : .failure(.noMemory) }, asking: importer)
  }

  @Test func `is the large one where that is taken, and no page is asked for`() {
    var asked: [Int] = []
    let found = found(4) { pages in
      asked.append(pages)
      return .success(7)
    }
    #expect(found.buffer == 4)
    #expect(found.answer == .success(7))
    #expect(asked == [4])
  }

  @Test func `is a page where an importer needs one piece and the large one lies in several`() {
    let found = found(4) { $0 == 1 ? .success(8) : .failure(.invalidArgument) }
    #expect(found.buffer == 1)
    #expect(found.answer == .success(8))
  }

  @Test func `is not made of a refusal that says something else`() {
    for errno in [Errno.busy, .noMemory, .notImplemented, .noSuchDevice] {
      let found = found(4) { $0 == 1 ? .success(8) : .failure(errno) }
      #expect(found.buffer == 4)
      #expect(found.answer == .failure(errno))
    }
  }

  @Test func `is the large one where a page is refused as well, or there is none: the importer takes nothing`() {
    let refused = found(4) { _ in .failure(.invalidArgument) }
    #expect(refused.buffer == 4)
    #expect(refused.answer == .failure(.invalidArgument))
    let without = found(4, makesPage: false) { $0 == 1 ? .success(8) : .failure(.invalidArgument) }
    #expect(without.buffer == 4)
    #expect(without.answer == .failure(.invalidArgument))
  }

  @Test func `need not be looked for where a helper takes memory in many pieces`() {
    let sure = HelperFamily.allCases.filter(\.takesManyPieces)
    #expect(sure == [.shmem, .ttm])
  }
}

@Suite("The format that displays are looked at with")
struct PictureFormatTests {
  @Test func `is XRGB8888 wherever that is shown, whatever comes before it`() {
    #expect(PictureFormat.first(of: [Fourcc.xbgr8888, .xrgb8888].map(\.rawValue)) == Fourcc.xrgb8888.rawValue)
  }

  @Test func `is another of 32 bits where it is not`() {
    let straight = [Fourcc("RG16"), Fourcc("BG24"), .xbgr8888].map(\.rawValue)
    #expect(PictureFormat.first(of: straight) == Fourcc.xbgr8888.rawValue)
  }

  @Test func `is none where nothing has 32 bits a pixel`() {
    #expect(PictureFormat.first(of: [Fourcc("RG16").rawValue]) == nil)
    #expect(PictureFormat.first(of: []) == nil)
  }
}
