import Prime
import Testing

@Suite("A device")
struct DeviceTests {
  let kernel = Fixture.kernel()

  @Test("knows its driver and is closed when nobody holds it")
  func open() throws {
    do {
      let device = try Device.open(Fixture.exporterNode, kernel: kernel)
      #expect(device.driver == "maker")
      #expect(device.driverVersion == "1.2.3")
      #expect(device.subject == "maker (/dev/dri/card0)")
      #expect(kernel.leftovers.count == 1)
    }
    kernel.expectNothingLeft()
  }

  @Test("never stays master by being opened first")
  func notMaster() throws {
    do {
      let device = try Device.open(Fixture.importerNode, kernel: kernel)
      #expect(!kernel.isMaster(device.rawDescriptor))
      #expect(kernel.count(of: .dropMaster) == 1)
      try device.becomeMaster()
      #expect(kernel.isMaster(device.rawDescriptor))
      device.dropMaster()
      #expect(!kernel.isMaster(device.rawDescriptor))
    }
    kernel.expectNothingLeft()
  }

  @Test("whose display another program holds says so when it is to become master")
  func otherMaster() throws {
    kernel.misbehave { $0.otherMaster = true }
    do {
      let device = try Device.open(Fixture.importerNode, kernel: kernel)
      #expect(kernel.count(of: .dropMaster) == 0)
      let error = primeError { try device.becomeMaster() }
      expect(error, is: "drmSetMaster", .busy, on: "taker (/dev/dri/card1)")
      #expect(error?.reason?.contains("stop the compositor") == true)
    }
    kernel.expectNothingLeft()
  }

  @Test("opened again is another open file with handles of its own")
  func reopened() throws {
    do {
      let device = try Device.open(Fixture.exporterNode, kernel: kernel)
      let other = try device.reopened()
      #expect(other.node == device.node)
      #expect(other.rawDescriptor != device.rawDescriptor)
      let object = try DumbAllocator(device: device).allocate(Fixture.request)
      #expect(device.openHandleCount == 1)
      #expect(other.openHandleCount == 0)
      _ = consume object
    }
    kernel.expectNothingLeft()
  }

  @Test(
    "that cannot be opened says what to do about it",
    arguments: [
      (Errno.noSuchFile, "device discovery tells those of this machine"), (.noSuchDevice, "the device is gone"),
      (.noSuchAddress, "the device is gone"), (.tooManyOpenFiles, "raise the limit with `ulimit -n`"),
      (.tooManyOpenFilesInSystem, "raise fs.file-max"),
    ])
  func openFails(errno: Errno, advice: String) {
    kernel.fail(.open, with: errno, onCall: 1)
    let error = primeError { try Device.open(Fixture.exporterNode, kernel: kernel) }
    expect(error, is: "open", errno, on: "/dev/dri/card0")
    #expect(error?.reason?.contains(advice) == true, "\(error?.reason ?? "no reason")")
    kernel.expectNothingLeft()
  }

  @Test(
    "without permission tells who forbids it",
    arguments: [
      (
        Errno.permissionDenied,
        "its mode 0660 allows it: a security module (SELinux, AppArmor) forbids it, which the kernel log tells"
      ),
      (
        .notPermitted,
        "its mode 0660 allows it, and the device cgroup of this container or service forbids it: start it with "
      ),
    ])
  func noPermission(errno: Errno, advice: String) throws {
    let tree = try FixtureTree()
    try tree.write("", to: "/dev/dri/card0")
    try tree.setMode(0o660, of: "/dev/dri/card0")
    let path = "\(tree.root)/dev/dri/card0"
    kernel.fail(.open, with: errno, onCall: 1)
    let error = primeError { try Device.open(DRMNode(path: path, kind: .primary), kernel: kernel) }
    expect(error, is: "open", errno, on: path)
    #expect(error?.reason?.hasPrefix(advice) == true, "\(error?.reason ?? "no reason")")
    kernel.expectNothingLeft()
  }

  @Test("is no other file: /dev/null is refused before a driver is asked")
  func notDRM() {
    let error = primeError {
      try Device.open(DRMNode(path: "/dev/null", kind: .primary), kernel: kernel)
    }
    expect(error, is: "open", found: .unsuitable, on: "/dev/null")
    #expect(error?.reason?.contains("not a DRM node") == true)
    #expect(kernel.count(of: .version) == 0)
    kernel.expectNothingLeft()
  }

  @Test("is no other file of the real kernel either")
  func reallyNotDRM() {
    for path in ["/dev/null", "/dev/zero"] {
      let error = primeError { try Device.open(DRMNode(path: path, kind: .primary)) }
      expect(error, is: "open", found: .unsuitable, on: path)
    }
  }

  @Test(
    "that does not answer is an error that names the call, and is closed",
    arguments: [(KernelCall.status, "fstat"), (.version, "drmGetVersion")])
  func doesNotAnswer(call: KernelCall, operation: String) {
    for errno in [Errno.noSuchDevice, .inputOutput, .noMemory, .permissionDenied] {
      let kernel = Fixture.kernel()
      kernel.fail(call, with: errno, onCall: 1)
      let error = primeError { try Device.open(Fixture.exporterNode, kernel: kernel) }
      expect(error, is: operation, errno, on: "/dev/dri/card0")
      kernel.expectNothingLeft("\(call) \(errno)")
    }
  }

  @Test("says what it can do, and nothing of what it does not answer")
  func capabilities() throws {
    do {
      let exporter = try Device.open(Fixture.exporterNode, kernel: kernel).capabilities()
      #expect(exporter.primeImport == true)
      #expect(exporter.primeExport == true)
      #expect(exporter.dumbBuffer == nil)
      #expect(exporter.framebufferModifiers == nil)
      #expect(exporter.atomic == nil)
      #expect(exporter.writeback == nil)
      let importer = try Device.open(Fixture.importerNode, kernel: kernel).capabilities()
      #expect(importer.dumbBuffer == true)
      #expect(importer.framebufferModifiers == true)
      #expect(importer.atomic == true)
      #expect(importer.writeback == true)
    }
    kernel.expectNothingLeft()
  }

  @Test("without a writeback connector says false, which is not the same as no answer")
  func noWriteback() throws {
    var setup = Fixture.importer
    setup.hasWriteback = false
    let kernel = Fixture.kernel(importer: setup)
    do {
      let capabilities = try Device.open(Fixture.importerNode, kernel: kernel).capabilities()
      #expect(capabilities.atomic == true)
      #expect(capabilities.writeback == false)
    }
    kernel.expectNothingLeft()
  }

  /// A capability that is missing and one that could not be asked for are two things.
  @Test(
    "throws what a question failed with that is no answer",
    arguments: [Errno.noMemory, .inputOutput, .noSuchDevice, .tooManyOpenFiles, .noSpace])
  func failedQuestions(errno: Errno) throws {
    for call in [KernelCall.capability, .setClientCapability, .kmsResources, .kmsConnector] {
      let kernel = Fixture.kernel()
      kernel.fail(call, with: errno)
      do {
        let device = try Device.open(Fixture.importerNode, kernel: kernel)
        let error = primeError { try device.capabilities() }
        #expect(error?.errno == errno, "\(call)")
        #expect(error?.subject == "taker (/dev/dri/card1)")
      }
      kernel.expectNothingLeft()
    }
  }

  @Test("whose every question fails answers nothing and throws nothing")
  func noAnswers() throws {
    kernel.fail(.capability, with: .invalidArgument)
    kernel.fail(.kmsResources, with: .notSupported)
    do {
      let capabilities = try Device.open(Fixture.importerNode, kernel: kernel).capabilities()
      #expect(capabilities == DeviceCapabilities())
    }
    kernel.expectNothingLeft()
  }
}
