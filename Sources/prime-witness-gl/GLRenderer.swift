internal import CGL
import Prime
import PrimeVerify

/// Reads and draws dma-bufs with the GPU of a DRM node, through EGL and OpenGL ES.
///
/// Safe to hold: what EGL and GL gave is handed back to them only, by this object, on one thread.
@safe final class GLRenderer: WitnessRenderer {
  private let device: GBMDevice
  private var context = unsafe cgl_context()
  private var imported: cgl_picture?
  let name: String
  let kind: WitnessAnswer.Renderer

  /// Opens the node and makes a context on it.
  init(on path: String) throws(PrimeError) {
    device = try GBMDevice(on: Device.open(DRMNode(path: path)))
    // Safe: the GBM device outlives the context, and the struct is this object's own.
    let code = unsafe cgl_open(&context, UnsafeMutableRawPointer(device.rawPointer))
    guard code == 0 else { throw unsafe Self.failure(code, context.operation, device.subject) }
    // Safe: GL's string lives as long as the context, and is copied.
    name = unsafe cgl_renderer().map { unsafe String(cString: $0) } ?? "a renderer without a name"
    kind = Self.kind(name, GBMDriver(on: device))
  }

  deinit {
    if var picture = unsafe imported { unsafe cgl_forget(&context, &picture) }
    unsafe cgl_close(&context)
  }

  /// A device's where Mesa's driver is one for this hardware and does not say that it computes on the processor.
  private static func kind(_ name: String, _ driver: GBMDriver) -> WitnessAnswer.Renderer {
    if driver.isSoftware == true || WitnessAnswer.Renderer.isSoftware(named: name) { return .software }
    return driver.isSoftware == false ? .device : .unknown
  }

  func makeBuffer(_ request: AllocationRequest) throws -> BufferObject {
    _ = try Self.isTurned(request.format.fourcc)
    return try GBMAllocator(device: device).allocate(request)
  }

  func look(
    at picture: borrowing SharedPicture, into bytes: inout MutableSpan<UInt8>, _ memory: PictureLayout
  ) throws {
    try use(picture, isDrawn: false)
    guard var picture = unsafe imported else { return }
    let place = memory.planes[0]
    let isTurned: Int32 = try Self.isTurned(memory.format.fourcc) ? 1 : 0
    // Safe: the memory has as many rows of four bytes a pixel as the layout says, this far apart.
    let code = unsafe bytes.withUnsafeMutableBytes { bytes in
      unsafe cgl_look(
        &context, &picture, UInt32(memory.width), UInt32(memory.height), isTurned, bytes.baseAddress, place.offset,
        place.pitch)
    }
    guard code == 0 else { throw unsafe Self.failure(code, context.operation, device.subject) }
  }

  func draw(
    _ bytes: Span<UInt8>, _ memory: PictureLayout, into picture: borrowing SharedPicture
  ) throws {
    try use(picture, isDrawn: true)
    guard var picture = unsafe imported else { return }
    let place = memory.planes[0]
    let isTurned: Int32 = try Self.isTurned(memory.format.fourcc) ? 1 : 0
    // Safe: the memory has as many rows of four bytes a pixel as the layout says, this far apart.
    let code = unsafe bytes.withUnsafeBytes { bytes in
      unsafe cgl_draw(
        &context, &picture, UInt32(memory.width), UInt32(memory.height), isTurned, bytes.baseAddress, place.offset,
        place.pitch)
    }
    guard code == 0 else { throw unsafe Self.failure(code, context.operation, device.subject) }
  }

  /// Imports the buffer once: a copy that is made at the import goes on showing what was there then.
  private func use(_ picture: borrowing SharedPicture, isDrawn: Bool) throws {
    guard unsafe imported == nil else { return }
    let description = picture.description
    try picture.requireOneBuffer("eglCreateImageKHR", on: device.subject)
    _ = try Self.isTurned(description.fourcc)
    let plane = description.layout.planes[0]
    var made = unsafe cgl_picture()
    // Safe: EGL duplicates the descriptor.
    let code = unsafe cgl_import(
      &context, &made, picture.first.rawDescriptor, UInt32(description.width), UInt32(description.height),
      description.fourcc.rawValue, UInt32(plane.offset), UInt32(plane.pitch), description.modifier.rawValue,
      description.modifier == .invalid ? 0 : 1, isDrawn ? 1 : 0)
    guard code == 0 else {
      unsafe cgl_forget(&context, &made)
      throw unsafe Self.failure(code, context.operation, device.subject)
    }
    unsafe imported = unsafe made
  }

  /// Whether red and blue lie the other way round than in GL's RGBA.
  private static func isTurned(_ fourcc: Fourcc) throws -> Bool {
    switch fourcc {
    case .xrgb8888, .argb8888: true
    case .xbgr8888, .abgr8888: false
    default:
      throw PrimeError(
        operation: .format, finding: .unsupported, subject: fourcc.name,
        reason: "\(fourcc) is not looked at: this witness reads four formats of eight bits a component")
    }
  }

  private static func failure(_ code: UInt32, _ operation: UnsafePointer<CChar>?, _ subject: String) -> PrimeError {
    // Safe: a literal of the shim's.
    let call = unsafe operation.map { unsafe String(cString: $0) } ?? "EGL"
    let known: [UInt32: String] = [
      0x3001: "EGL_NOT_INITIALIZED", 0x3002: "EGL_BAD_ACCESS", 0x3003: "EGL_BAD_ALLOC", 0x3004: "EGL_BAD_ATTRIBUTE",
      0x3005: "EGL_BAD_CONFIG", 0x3008: "EGL_BAD_DISPLAY", 0x3009: "EGL_BAD_MATCH", 0x300c: "EGL_BAD_PARAMETER",
      0x0500: "GL_INVALID_ENUM", 0x0501: "GL_INVALID_VALUE", 0x0502: "GL_INVALID_OPERATION", 0x0505: "GL_OUT_OF_MEMORY",
      0x0506: "GL_INVALID_FRAMEBUFFER_OPERATION",
    ]
    return .untestable(.call(call), on: subject, reason: known[code] ?? "error 0x\(String(code, radix: 16))")
  }
}
