package import Prime

/// What third parties do with both sides of an import that was refused.
///
/// "It refused others too" is evidence only where those others are taken by somebody. So the importer is offered memory that
/// belongs to no device, and the exporter's buffer is offered to a device that takes what any exporter hands out.
struct RefusalEvidence: Hashable, Sendable {
  /// What the importer does with a neutral buffer.
  enum Taking: Hashable, Sendable {
    /// It takes one as large as the one that was refused.
    case takes(from: String)
    /// It takes a page, and refuses as many bytes as were refused.
    case takesOnlyAPage(of: String, Errno)
    /// It refuses a page of each of these.
    case refuses([String], Errno)
    /// There is nothing neutral here to offer.
    case unknown
  }

  /// What a neutral device does with the exporter's buffer.
  enum Giving: Hashable, Sendable {
    /// It takes it, and maps it.
    case taken(by: String)
    /// It refuses it.
    case refused(by: String, Errno)
    /// It takes the handle only, or there is no neutral device here.
    case unknown
  }

  var taking: Taking
  var giving: Giving

  /// The side that the evidence points at.
  var refuser: Refuser {
    switch (taking, giving) {
    case (.takes, .refused): .exporter
    case (.takesOnlyAPage, .taken), (.takesOnlyAPage, .unknown): .importer
    case (.refuses, .taken), (.refuses, .unknown): .importer
    case (.takes, .taken), (.takes, .unknown), (.takesOnlyAPage, .refused), (.refuses, .refused), (.unknown, _): .either
    }
  }
}

/// A device whose driver is known to take what any exporter hands out, as pages of system memory: vgem and vkms.
package struct NeutralDevice: Hashable, Sendable {
  let name: String
  let node: DRMNode
  /// Whether it is vgem, which has fences on demand.
  var isVGEM: Bool { name == "vgem" || name.hasPrefix("vgem:") }

  /// The neutral devices among those of a machine.
  ///
  /// They are virtual: to open one wakes no hardware.
  package static func among(_ devices: [DeviceDescription]) -> [NeutralDevice] {
    ["vgem", "vkms"].flatMap { driver in
      devices.filter { $0.driver == driver }.compactMap { device in
        device.primary.map { NeutralDevice(name: device.label(among: devices), node: $0) }
      }
    }
  }
}

/// Asks third parties about a refused import.
struct RefusalInquiry {
  /// The neutral devices of the machine.
  let neutral: [NeutralDevice]
  let kernel: any KernelCalls
  let deadline: Deadline
  /// How far an import of a neutral device goes.
  let mapping: (_ importer: Device, _ exporter: DeviceIdentity?) -> ImportMapping

  /// Looks at both sides.
  ///
  /// - Parameters:
  ///   - kind: How the buffer was allocated: nothing of the same kind is neutral.
  ///   - exporter: The device that made it; nil for system memory.
  func evidence(
    on picture: borrowing SharedPicture, _ request: AllocationRequest, kind: AllocatorKind?, exporter: DeviceIdentity?,
    importer: Device
  ) -> RefusalEvidence {
    RefusalEvidence(
      taking: taking(by: importer, request, kind: kind, exporter: exporter),
      giving: giving(picture, exporter: exporter, importer: importer))
  }

  private func taking(
    by importer: Device, _ request: AllocationRequest, kind: AllocatorKind?, exporter: DeviceIdentity?
  ) -> RefusalEvidence.Taking {
    guard let format = PixelFormat(.xrgb8888) else { return .unknown }
    // 32 by 32 words are a page of 4096 bytes, or less than one.
    let page = AllocationRequest(format: format, width: 32, height: 32)
    var refused: [String] = []
    var errno: Errno?
    var taken: String?
    for source in sources(without: kind, exporter: exporter, importer: importer) {
      switch offer(page, from: source, to: importer) {
      case nil: continue
      case .failure(let error)?:
        refused.append(source.name)
        errno = errno ?? error
      case .success?:
        // One that is taken may lie in one piece by luck, and says less than one that is not.
        if case .failure(let error)? = offer(request, from: source, to: importer) {
          return .takesOnlyAPage(of: source.name, error)
        }
        taken = taken ?? source.name
      }
    }
    if let taken { return .takes(from: taken) }
    return errno.map { .refuses(refused, $0) } ?? .unknown
  }

  private func sources(without kind: AllocatorKind?, exporter: DeviceIdentity?, importer: Device) -> [Exporter] {
    let memory = [AllocatorKind.udmabuf, .heap].filter { $0 != kind }
      .map { Exporter(name: $0.rawValue, node: nil, allocator: $0) }
    let devices = neutral.compactMap { device -> Exporter? in
      guard let opened = try? Device.open(device.node, kernel: kernel),
        !opened.identity.isSameDevice(as: importer.identity),
        exporter.map({ opened.identity.isSameDevice(as: $0) }) != true
      else { return nil }
      return Exporter(name: device.name, node: device.node, allocator: .dumb)
    }
    return memory + devices
  }

  /// What the importer answers; nil where there is no such buffer to offer.
  private func offer(_ request: AllocationRequest, from source: Exporter, to importer: Device) -> Result<Void, Errno>? {
    guard deadline.remaining > .zero, let object = try? Allocators.make(source, kernel: kernel).allocate(request),
      let picture = try? object.export(.readWrite)
    else { return nil }
    do throws(PrimeError) {
      _ = try picture.imported(into: importer, deadline: deadline.atMost(.seconds(2)))
      return .success(())
    } catch {
      // What ran into a deadline was refused by nobody.
      return error.errno.map { .failure($0) }
    }
  }

  private func giving(
    _ picture: borrowing SharedPicture, exporter: DeviceIdentity?, importer: Device
  ) -> RefusalEvidence.Giving {
    for device in neutral where deadline.remaining > .zero {
      guard let opened = try? Device.open(device.node, kernel: kernel),
        !opened.identity.isSameDevice(as: importer.identity),
        exporter.map({ opened.identity.isSameDevice(as: $0) }) != true
      else { continue }
      do throws(PrimeError) {
        _ = try picture.imported(into: opened, deadline: deadline.atMost(.seconds(2)))
      } catch {
        guard let errno = error.errno else { continue }
        return .refused(by: device.name, errno)
      }
      return mapping(opened, exporter).isMade ? .taken(by: device.name) : .unknown
    }
    return .unknown
  }
}
