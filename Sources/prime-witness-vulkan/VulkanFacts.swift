import Prime
import PrimeVerify

/// What a Vulkan device says of itself.
struct VulkanFacts: Hashable {
  /// What it is, by its own word.
  enum Kind: Hashable {
    case gpu, processor, other
  }

  static let nodesExtension = "VK_EXT_physical_device_drm"

  var name: String
  var type: Kind
  var hasVulkan11: Bool
  /// The numbers of its DRM nodes; none where it does not tell them.
  var nodes: [DeviceNumber]
  var extensions: Set<String>

  /// Whether it computes on the processor.
  var isSoftware: Bool { type == .processor || WitnessAnswer.Renderer.isSoftware(named: name) }

  /// Throws what it lacks of what is needed, by name.
  func require(_ names: [String]) throws(PrimeError) {
    let missing = (hasVulkan11 ? [] : ["Vulkan 1.1"]) + names.filter { !extensions.contains($0) }
    guard !missing.isEmpty else { return }
    throw .untestable(
      "vkCreateDevice", on: name, reason: "this Vulkan driver lacks \(missing.joined(separator: ", "))")
  }
}

/// The device that looks for a DRM node.
struct VulkanChoice: Hashable {
  /// Its place among those that were found.
  let index: Int
  /// What its look is worth.
  let kind: WitnessAnswer.Renderer

  /// Chooses the device that has a node, else the processor, which is a device of no node.
  ///
  /// - Parameter path: The node's name, for messages.
  /// - Throws: an untestable `VK_EXT_physical_device_drm` where there is neither.
  init(among devices: [VulkanFacts], for node: DeviceNumber, at path: String) throws(PrimeError) {
    let matching = devices.indices.filter { devices[$0].nodes.contains(node) }
    if let index = matching.first(where: { !devices[$0].isSoftware }) ?? matching.first {
      self.index = index
      kind = devices[index].isSoftware ? .software : devices[index].type == .gpu ? .device : .unknown
      return
    }
    if let index = devices.firstIndex(where: \.isSoftware) {
      self.index = index
      kind = .software
      return
    }
    // Of a device that has not the extension nobody knows whose it is.
    let silent = devices.filter { !$0.extensions.contains(VulkanFacts.nodesExtension) }.map(\.name)
    throw .untestable(
      .call(VulkanFacts.nodesExtension), on: path,
      reason: silent.isEmpty
        ? "no Vulkan driver here has a device of \(path)"
        : "\(silent.joined(separator: ", ")) lacks it, and no other Vulkan device is \(path)'s")
  }
}
