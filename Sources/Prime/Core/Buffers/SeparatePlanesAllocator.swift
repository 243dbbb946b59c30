/// Pictures whose planes lie in a buffer each where that is asked for, all of another allocator's, as decoders and cameras make
/// them (V4L2's `NM12`).
///
/// Each plane is allocated as a picture of one plane whose pixels have as many bytes.
public struct SeparatePlanesAllocator: Allocator {
  private let base: any Allocator

  /// Allocates the buffers through `base`.
  public init(_ base: any Allocator) { self.base = base }

  /// That of the other allocator.
  public var kind: AllocatorKind { base.kind }

  /// That of the other allocator.
  public var node: DRMNode? { base.node }

  /// Allocates a buffer for each plane of a disjoint picture; every other request is the other allocator's.
  ///
  /// - Throws: As the other allocator.
  public func allocate(_ request: AllocationRequest) throws(PrimeError) -> BufferObject {
    guard request.isDisjoint, request.format.planes.count > 1 else { return try base.allocate(request) }
    var objects: [Box<BufferObject>] = []
    var planes: [PlaneLayout] = []
    for (index, plane) in request.format.planes.enumerated() {
      let size = Size(width: plane.columns(ofWidth: request.width), height: plane.rows(ofHeight: request.height))
      var part = AllocationRequest(
        format: try Self.carrier(of: plane, request), size: size, modifiers: request.modifiers, usage: request.usage)
      part.pitch = request.pitch
      let object = try base.allocate(part)
      let place = object.description.layout.planes[0]
      planes.append(PlaneLayout(buffer: index, offset: place.offset, pitch: place.pitch))
      objects.append(Box(object))
    }
    let layout = try PictureLayout.checked(
      format: request.format, width: request.width, height: request.height, planes: planes, operation: .allocate,
      on: node?.path ?? kind.rawValue)
    let modifier = objects[0].value.description.modifier
    return BufferObject(BufferDescription(layout: layout, modifier: modifier), storage: .planes(objects))
  }

  /// A format of one plane whose pixels are as large as the plane's.
  private static func carrier(
    of plane: PixelFormat.Plane, _ request: AllocationRequest
  ) throws(PrimeError) -> PixelFormat {
    switch plane.bytesPerElement {
    case 1: return .r8
    case 2: return .gr88
    case 4: return .abgr8888
    default:
      throw .untestable(
        .allocate, on: request.format.fourcc.name,
        reason: "no format of one plane has pixels of \(plane.bytesPerElement) bytes here")
    }
  }
}
