internal import CVulkan
import Prime
import PrimeVerify

/// Reads and draws dma-bufs with the GPU of a DRM node, through Vulkan.
final class VulkanRenderer: WitnessRenderer {
  let name: String
  let kind: WitnessAnswer.Renderer
  private let instance: VulkanInstance
  private let index: Int
  private let facts: VulkanFacts
  private var opened: VulkanDevice?
  private var imported: (buffer: DMABuf.Identity, description: BufferDescription, picture: any VulkanPicture)?
  private var drawn: DrawnPicture?

  /// Loads Vulkan and chooses the device of a node.
  init(on path: String) throws(PrimeError) {
    instance = try VulkanInstance()
    let node = try Device.open(DRMNode(path: path))
    let status = try node.kernel.status(node.rawDescriptor).orThrow("fstat", on: path)
    guard let number = status.characterDevice else {
      throw PrimeError(operation: "fstat", finding: .unsuitable, subject: path, reason: "this is no device")
    }
    let devices = try instance.devices()
    let choice = try VulkanChoice(among: devices, for: number, at: path)
    index = choice.index
    kind = choice.kind
    facts = devices[choice.index]
    name = facts.name
  }

  /// Opened at the first use, so that what a device lacks is said together with its name.
  private func device() throws(PrimeError) -> VulkanDevice {
    if let opened { return opened }
    let device = try VulkanDevice(index, facts, of: instance)
    opened = device
    return device
  }

  func look(
    at picture: borrowing SharedPicture, into bytes: inout MutableSpan<UInt8>, _ memory: PictureLayout
  ) throws {
    let device = try device()
    let shown = try importedPicture(picture, device)
    let copy = try HostCopy(for: memory, on: device)
    let work = try VulkanWork(on: device)
    // Safe: the command buffer records.
    try device.check(unsafe shown.recordCopy(to: copy, work.commands))
    try work.finish(on: picture.first, as: .read)
    copy.write(to: &bytes, memory)
  }

  /// Imports a buffer once: a copy that is made at the import goes on showing what was there then.
  private func importedPicture(
    _ picture: borrowing SharedPicture, _ device: VulkanDevice
  ) throws(PrimeError) -> any VulkanPicture {
    let (identity, description) = (picture.first.identity, picture.description)
    if let imported, imported.buffer == identity, imported.description == description { return imported.picture }
    imported = nil
    let made: any VulkanPicture
    switch description.modifier {
    case .linear where device.takesBuffers: made = try PictureInRows(of: picture, on: device)
    case .invalid:
      throw .untestable(
        .modifier, on: device.name, reason: "Vulkan takes no buffer whose arrangement is implicit, without a modifier")
    default: made = try PictureInImage(of: picture, on: device)
    }
    imported = (identity, description, made)
    return made
  }

  func makeBuffer(_ request: AllocationRequest) throws -> BufferObject {
    drawn = nil
    let picture = try DrawnPicture(request, on: device())
    let buffer = try picture.export()
    let description = BufferDescription(layout: picture.layout, modifier: .linear)
    drawn = picture
    return BufferObject(adopting: try .made(description, buffer))
  }

  func draw(
    _ bytes: Span<UInt8>, _ memory: PictureLayout, into picture: borrowing SharedPicture
  ) throws {
    guard let drawn else {
      throw PrimeError.untestable("vkCmdBlitImage", on: name, reason: "no buffer was made to draw into")
    }
    try drawn.draw(bytes, memory, into: picture.first)
  }
}
