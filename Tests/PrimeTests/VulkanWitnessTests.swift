import Foundation
import Testing

@testable import Prime
@testable import PrimeVerify
@testable import prime_witness_vulkan

/// Which device `prime-witness-vulkan` looks with, and what it says where it cannot.
@Suite("A witness through Vulkan")
struct VulkanWitnessTests {
  static let node = DeviceNumber(major: 226, minor: 128)
  static let other = DeviceNumber(major: 226, minor: 129)

  static func facts(
    _ name: String, _ type: VulkanFacts.Kind = .gpu, nodes: [DeviceNumber] = [],
    extensions: Set<String> = ["VK_EXT_physical_device_drm"]
  ) -> VulkanFacts {
    VulkanFacts(name: name, type: type, hasVulkan11: true, nodes: nodes, extensions: extensions)
  }

  static func choice(_ devices: VulkanFacts...) throws -> VulkanChoice {
    try VulkanChoice(among: devices, for: node, at: "/dev/dri/renderD128")
  }

  @Test func `looks with the device that has the node`() throws {
    let choice = try Self.choice(
      Self.facts("llvmpipe (LLVM 19)", .processor), Self.facts("another GPU", nodes: [Self.other]),
      Self.facts("a GPU", nodes: [DeviceNumber(major: 226, minor: 0), Self.node]))
    #expect(choice.index == 2)
    #expect(choice.kind == .device)
  }

  @Test func `looks with the processor where no device has the node, which is no proof`() throws {
    let choice = try Self.choice(
      Self.facts("another GPU", nodes: [Self.other]), Self.facts("llvmpipe (LLVM 19)", .processor, extensions: []))
    #expect(choice.index == 1)
    #expect(choice.kind == .software)
  }

  @Test(arguments: [
    facts("a processor", .processor, nodes: [node]), facts("SwiftShader Device", nodes: [node]),
    facts("llvmpipe", .other, nodes: [node]),
  ])
  func `is software where the device's type or its name says so`(device: VulkanFacts) throws {
    #expect(try Self.choice(device).kind == .software)
  }

  @Test func `does not vouch for a device that does not say what it is`() throws {
    #expect(try Self.choice(Self.facts("something", .other, nodes: [Self.node])).kind == .unknown)
  }

  @Test func `says that no device is the node's, and which do not tell theirs`() throws {
    func reason(_ devices: VulkanFacts...) -> String? {
      do throws(PrimeError) {
        _ = try VulkanChoice(among: devices, for: Self.node, at: "/dev/dri/renderD128")
        return nil
      } catch {
        #expect(error.operation == "VK_EXT_physical_device_drm")
        return error.reason
      }
    }
    #expect(reason() == "no Vulkan driver here has a device of /dev/dri/renderD128")
    #expect(
      reason(Self.facts("a GPU", nodes: [Self.other])) == "no Vulkan driver here has a device of /dev/dri/renderD128")
    #expect(
      reason(Self.facts("an old GPU", extensions: []))
        == "an old GPU lacks it, and no other Vulkan device is /dev/dri/renderD128's")
  }

  @Test func `names what a driver lacks`() throws {
    let needed = ["VK_KHR_external_memory_fd", "VK_EXT_external_memory_dma_buf"]
    #expect(throws: Never.self) { try Self.facts("a GPU", extensions: Set(needed)).require(needed) }
    let error = try #require(throws: PrimeError.self) {
      try Self.facts("a GPU", extensions: ["VK_KHR_external_memory_fd"]).require(needed)
    }
    #expect(error.reason == "this Vulkan driver lacks VK_EXT_external_memory_dma_buf")
    // The sentence has room for all of them (`WitnessAnswer`).
    var old = Self.facts("a GPU", extensions: [])
    old.hasVulkan11 = false
    let worst = try #require(throws: PrimeError.self) { try old.require(needed) }
    #expect(
      worst.reason
        == "this Vulkan driver lacks Vulkan 1.1, VK_KHR_external_memory_fd, VK_EXT_external_memory_dma_buf")
    #expect((worst.reason ?? "").utf8.count <= 120)
  }

  /// The built program, with an environment of its own, asked to draw; why it does not.
  static func refusal(_ environment: String...) throws -> String? {
    let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let path = (program as NSString).deletingLastPathComponent + "/prime-witness-vulkan"
    let witness = try Witness(
      try #require(WitnessProgram(["/usr/bin/env"] + environment + [path])),
      on: DRMNode(path: "/dev/dri/renderD128", kind: .render), for: WitnessTests.picture, modifier: .linear)
    let error = try #require(throws: PrimeError.self) {
      _ = try witness.draw(deadline: Deadline(in: .seconds(20))) { bytes, layout in
        try WitnessTests.patterns[0].fill(&bytes, layout: layout)
      }
    }
    #expect(error.isUntestable)
    return error.reason
  }

  @Test func `says that the library cannot be loaded`() throws {
    let folder = NSTemporaryDirectory() + "prime-tool-no-vulkan-\(getpid())"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    // The first of its name that the dynamic linker finds.
    try Data().write(to: URL(fileURLWithPath: "\(folder)/libvulkan.so.1"))
    #expect(
      try Self.refusal("LD_LIBRARY_PATH=\(folder)")
        == "env declines: dlopen: libvulkan.so.1 cannot be loaded: install libvulkan1 and the GPU's Vulkan driver")
  }

  @Test func `says that there is no driver`() throws {
    #expect(
      try Self.refusal("VK_DRIVER_FILES=/nonexistent", "VK_ICD_FILENAMES=/nonexistent")
        == "env declines: vkCreateInstance: no Vulkan driver is here: install the GPU's, for Mesa mesa-vulkan-drivers")
  }
}
