import Prime

/// Shows an orange picture on a device's display for a while, then a blue one, and puts the display back.
///
/// - Parameters:
///   - name: A device as `prime-tool list` names it.
///   - time: How long each picture is shown.
func show(on name: String, for time: Duration) async throws {
  let devices = try DeviceDiscovery().devices(.named([name]))
  let device = try DeviceSelector(name).open(among: devices)
  let deadline = Deadline(in: .seconds(10) + time * 2)

  // The kernel asks the wire only for the master.
  try device.becomeMaster()
  let display = try DisplayPipe(DisplayRoute(on: device, to: .connected))
  guard let mode = display.route.modes.first else { throw NoMode(display.route.connector) }
  let orange = try picture(of: 0x00ff_8000, mode.size, on: device, deadline)
  let blue = try picture(of: 0x0000_60ff, mode.size, on: device, deadline)

  try display.test(orange, mode: mode, deadline: deadline)
  try display.show(orange, mode: mode, deadline: deadline)
  try await Task.sleep(for: time)
  let flip = try await display.flip(to: blue, deadline: deadline)
  try await Task.sleep(for: time)
  print("\(device.driver): \(mode.size) on \(display.route.connector.name), frame \(flip.sequence)")
  try display.close()
}

/// A framebuffer of one colour; it keeps its memory.
func picture(of colour: UInt32, _ size: Size, on device: Device, _ deadline: Deadline) throws -> Framebuffer {
  let buffer = try DumbAllocator(device: device).allocate(AllocationRequest(format: .xrgb8888, size: size))
  let picture = try buffer.export(.readWrite)
  try picture.first.write(as: UInt32.self, deadline: deadline) { pixels in pixels.update(repeating: colour) }
  return try picture.imported(into: device).framebuffer()
}

/// A connector that lists no mode, as one that writes into a buffer.
struct NoMode: Error, CustomStringConvertible {
  let description: String

  init(_ connector: Connector) { description = "\(connector.name) lists no mode" }
}
