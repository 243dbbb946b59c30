internal import CVulkan
import Prime

/// What Vulkan's calls answer, in the words of this project.
enum VulkanFailure {
  /// The error of a call that answered something else than `VK_SUCCESS`.
  static func error(_ code: Int32, _ operation: UnsafePointer<CChar>?, on subject: String) -> PrimeError {
    // Safe: a literal of the shim's.
    let call = unsafe operation.map { unsafe String(cString: $0) } ?? "Vulkan"
    return .untestable(.call(call), on: subject, reason: name(of: code))
  }

  /// The name of a result, else its number.
  static func name(of code: Int32) -> String { names[code] ?? "VkResult \(code)" }

  private static let names: [Int32: String] = [
    1: "VK_NOT_READY", 2: "VK_TIMEOUT", -1: "VK_ERROR_OUT_OF_HOST_MEMORY", -2: "VK_ERROR_OUT_OF_DEVICE_MEMORY",
    -3: "VK_ERROR_INITIALIZATION_FAILED", -4: "VK_ERROR_DEVICE_LOST", -5: "VK_ERROR_MEMORY_MAP_FAILED",
    -7: "VK_ERROR_EXTENSION_NOT_PRESENT", -8: "VK_ERROR_FEATURE_NOT_PRESENT", -9: "VK_ERROR_INCOMPATIBLE_DRIVER",
    -10: "VK_ERROR_TOO_MANY_OBJECTS", -11: "VK_ERROR_FORMAT_NOT_SUPPORTED", -13: "VK_ERROR_UNKNOWN",
    -1_000_072_003: "VK_ERROR_INVALID_EXTERNAL_HANDLE",
    -1_000_158_000: "VK_ERROR_INVALID_DRM_FORMAT_MODIFIER_PLANE_LAYOUT",
  ]
}
