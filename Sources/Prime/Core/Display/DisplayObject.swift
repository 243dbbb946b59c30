/// A KMS object with its properties as they were when it was read: a CRTC, a connector or a plane.
package struct DisplayObject: Sendable {
  let id: UInt32
  let kind: KMSObjectKind
  /// In the kernel's order.
  let properties: [KMSProperty]
  private let subject: String

  package init(_ id: UInt32, _ kind: KMSObjectKind, of device: Device) throws(PrimeError) {
    let list = try device.kernel.kmsProperties(device.rawDescriptor, object: id, kind: kind)
      .orThrow("drmModeObjectGetProperties", on: device.subject)
    self.id = id
    self.kind = kind
    self.properties = list
    self.subject = device.subject
  }

  /// The value a property had, nil where the object has no such property.
  package func value(_ name: String) -> UInt64? {
    property(name)?.value
  }

  /// A property by name, nil where the object has none such.
  func property(_ name: String) -> KMSProperty? {
    properties.first { $0.name == name }
  }

  /// One line of an atomic request.
  func setting(_ name: String, to value: UInt64) throws(PrimeError) -> KMSAssignment {
    guard let property = property(name) else {
      throw PrimeError(
        operation: "drmModeObjectGetProperties", finding: .absent, subject: subject,
        reason: "\(kind) \(id) has no property \(name)")
    }
    return KMSAssignment(object: id, property: property.id, value: value)
  }
}
