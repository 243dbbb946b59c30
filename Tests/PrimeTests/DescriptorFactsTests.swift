import Glibc
import Prime
import Testing

@Suite("What procfs tells of an open file")
struct DescriptorFactsTests {
  @Test("fdinfo gives the value of a key, and nil for one that is not there")
  func fdinfo() {
    let text = "pos:\t0\nflags:\t02100002\nsize:\t16384\ncount:\t1\nexp_name:\tdrm\nname:\tpicture\nsize:\t1"
    #expect(DescriptorFacts.value(of: "size", in: text) == "16384")
    #expect(DescriptorFacts.value(of: "exp_name", in: text) == "drm")
    #expect(DescriptorFacts.value(of: "name", in: text) == "picture")
    #expect(DescriptorFacts.value(of: "ino", in: text) == nil)
  }

  @Test("an open file is listed by its number, and the folder that is read for it is not")
  func openFiles() throws {
    let number = open("/dev/null", O_RDONLY | O_CLOEXEC)
    defer { close(number) }
    let files = try DescriptorFacts.openFiles(by: LinuxKernel())
    #expect(files["\(number)"] == "/dev/null")
    #expect(!files.values.contains("/proc/\(getpid())/fd"))
  }
}
