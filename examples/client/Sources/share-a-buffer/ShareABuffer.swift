import Prime

/// Writes an orange picture into a buffer of one device and makes a framebuffer of it on another.
///
/// - Parameters:
///   - exporter: A device as `prime-tool list` names it: by driver, node or PCI address.
///   - importer: Another one, which has a display.
func share(from exporter: String, with importer: String) throws {
  let devices = try DeviceDiscovery().devices(.named([exporter, importer]))
  let source = try DeviceSelector(exporter).open(among: devices)
  let target = try DeviceSelector(importer).open(among: devices)
  let deadline = Deadline(in: .seconds(5))

  let request = AllocationRequest(format: .xrgb8888, size: Size(width: 1024, height: 768))
  let buffer = try DumbAllocator(device: source).allocate(request)
  let picture = try buffer.export(.readWrite)
  try picture.first.write(as: UInt32.self, deadline: deadline) { pixels in pixels.update(repeating: 0x00ff_8000) }

  let framebuffer = try picture.imported(into: target).framebuffer()
  print("\(source.driver) → \(target.driver): \(picture.byteCount) bytes, framebuffer \(framebuffer.id)")
}
