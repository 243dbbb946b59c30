internal import CVulkan
import Prime

/// The Vulkan library, loaded at run time, and what it says of the devices that its drivers find.
///
/// Safe to hold: what the library gave is handed back to it only, by this object, on one thread.
@safe final class VulkanInstance {
  var calls = unsafe cvk_instance()
  private var found = unsafe [VkPhysicalDevice?]()

  /// Devices beyond this number are not looked at.
  private static let mostDevices = 64

  /// Loads the library.
  ///
  /// - Throws: an untestable `dlopen` where there is no library, and `vkCreateInstance` where it has no driver.
  init() throws(PrimeError) {
    // Safe: the struct is this object's own.
    guard unsafe cvk_load(&calls) != 0 else {
      throw .untestable(
        "dlopen", on: "libvulkan.so.1",
        reason: "libvulkan.so.1 cannot be loaded: install libvulkan1 and the GPU's Vulkan driver")
    }
    // Safe: the library was loaded.
    let code = unsafe cvk_open_instance(&calls)
    guard code != VK_ERROR_INCOMPATIBLE_DRIVER.rawValue else {
      throw .untestable(
        "vkCreateInstance", on: "libvulkan.so.1",
        reason: "no Vulkan driver is here: install the GPU's, for Mesa mesa-vulkan-drivers")
    }
    try check(code)
  }

  deinit { unsafe cvk_close_instance(&calls) }

  /// Throws what a call of the instance answered.
  func check(_ code: Int32) throws(PrimeError) {
    // Safe: a literal of the shim's.
    guard code != 0 else { return }
    throw unsafe VulkanFailure.error(code, calls.operation, on: "Vulkan")
  }

  /// What each device says of itself.
  func devices() throws(PrimeError) -> [VulkanFacts] {
    var count = UInt32(Self.mostDevices)
    var list = unsafe [VkPhysicalDevice?](repeating: nil, count: Self.mostDevices)
    // Safe: the list has room for as many as `count` says.
    try check(unsafe cvk_list_devices(&calls, &list, &count))
    unsafe found = unsafe Array(list.prefix(Int(count)))
    var result: [VulkanFacts] = []
    for index in 0..<Int(count) { result.append(try facts(of: index)) }
    return result
  }

  /// The device behind an index of `devices`.
  func physical(_ index: Int) -> VkPhysicalDevice? { unsafe found[index] }

  private func facts(of index: Int) throws(PrimeError) -> VulkanFacts {
    let extensions = try extensions(of: index)
    var facts = cvk_facts()
    let hasNodes: Int32 = extensions.contains(VulkanFacts.nodesExtension) ? 1 : 0
    // Safe: the device is of this instance.
    unsafe cvk_describe(&calls, found[index], hasNodes, &facts)
    let nodes = [facts.nodes.0, facts.nodes.1].prefix(Int(facts.node_count))
      .map { DeviceNumber(major: $0.major, minor: $0.minor) }
    let type: VulkanFacts.Kind =
      switch facts.type {
      case VK_PHYSICAL_DEVICE_TYPE_CPU: .processor
      case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU, VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU,
        VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        .gpu
      default: .other
      }
    return VulkanFacts(
      name: Self.text(facts.name), type: type, hasVulkan11: facts.version >= 1 << 22 | 1 << 12, nodes: nodes,
      extensions: extensions)
  }

  private func extensions(of index: Int) throws(PrimeError) -> Set<String> {
    var count: UInt32 = 0
    // Safe: without a list it counts.
    try check(unsafe cvk_list_extensions(&calls, found[index], nil, &count))
    var list = [VkExtensionProperties](repeating: VkExtensionProperties(), count: Int(count))
    // Safe: the list has room for as many as `count` says.
    try check(unsafe cvk_list_extensions(&calls, found[index], &list, &count))
    return Set(list.prefix(Int(count)).map { Self.text($0.extensionName) })
  }

  /// A C string in an array of fixed size.
  private static func text<Characters: BitwiseCopyable>(_ characters: Characters) -> String {
    // Safe: it is read no further than its size.
    unsafe withUnsafeBytes(of: characters) { unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}
