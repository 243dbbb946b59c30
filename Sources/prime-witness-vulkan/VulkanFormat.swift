internal import CVulkan
import Prime

/// The formats that images are made of: those whose pixels lie in memory as the fourcc says, on a little-endian machine.
enum VulkanFormat {
  /// Vulkan's format for a fourcc.
  ///
  /// - Throws: an untestable `format` where there is none.
  static func format(of fourcc: Fourcc) throws(PrimeError) -> VkFormat {
    switch fourcc {
    case .xrgb8888, .argb8888: return VK_FORMAT_B8G8R8A8_UNORM
    case .xbgr8888, .abgr8888: return VK_FORMAT_R8G8B8A8_UNORM
    case .xrgb2101010, .argb2101010: return VK_FORMAT_A2R10G10B10_UNORM_PACK32
    case .xbgr2101010, .abgr2101010: return VK_FORMAT_A2B10G10R10_UNORM_PACK32
    case .rgb565: return VK_FORMAT_R5G6B5_UNORM_PACK16
    default:
      throw .untestable(
        .format, on: fourcc.name, reason: "this witness makes no image of \(fourcc), and reads it where it is linear")
    }
  }
}
