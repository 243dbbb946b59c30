import Foundation
import Prime
import PrimeVerify
import Testing
import prime_tool

/// The files of `fixtures/pictures` were looked at by people; a picture that changes has to be looked at again.
@Suite("Pictures as they were looked at")
struct TestPictureFileTests {
  @Test("A picture is, pixel for pixel, what its file shows", arguments: TestPictureTests.named)
  func file(picture: TestPicture) throws {
    let path = Recording.folder.appending(path: "pictures/\(picture.name)-320x240.png").path
    let image = picture.rendered(width: 320, height: 240)
    // For somebody who changed a picture and is going to look at it.
    if ProcessInfo.processInfo.environment["PRIME_RECORD_PICTURES"] == "1" { try PNGFile.write(image, to: path) }
    #expect(try PNGFile.read(path) == image)
  }
}
