extension PrimeError {
  /// What failed: a call, or a step of this library's that makes several calls or none.
  ///
  /// A literal is a call: `"drmPrimeFDToHandle"`, `"poll for the fences"`.
  public enum Operation: Hashable, Sendable {
    /// A call by its C name, for example `drmPrimeFDToHandle`. An errno with it is the kernel's, or libdrm's in its name.
    case call(String)
    /// A step that no single call stands for.
    case step(Step)
    /// One of the promises that are looked at, by the name that reports have for it.
    case promise(String)

    /// The steps, by the word that reports have for them.
    public enum Step: String, Hashable, Sendable, CaseIterable {
      /// To make a buffer, or to work out how large it has to be.
      case allocate
      /// The check of a pair as a whole.
      case check
      /// To show a framebuffer on the importer's display.
      case commit
      /// The comparison with what was never written: where it agrees, nothing was proven.
      case control
      /// To read the checksums of a CRTC.
      case crc
      /// To find a format that an engine reads or writes.
      case format
      /// The talk of two processes about a buffer.
      case handover
      /// To export the importer's handle once more and to look whether it is the same dma-buf.
      case identity
      /// To read memory that is mapped.
      case mappingRead = "read of the mapping"
      /// To write memory that is mapped.
      case mappingWrite = "write of the mapping"
      /// To find a modifier that an engine reads or writes.
      case modifier
      /// To read a buffer through the mapping of the device that made it.
      case nativeMap = "native-map"
      /// To bring buffers to a display.
      case scanout
      /// To have a program look that reads with a GPU.
      case witness
      /// To have a display engine write what it fetched.
      case writeback
    }

    package static let allocate = Operation.step(.allocate)
    package static let check = Operation.step(.check)
    package static let commit = Operation.step(.commit)
    package static let control = Operation.step(.control)
    package static let crc = Operation.step(.crc)
    package static let format = Operation.step(.format)
    package static let handover = Operation.step(.handover)
    package static let identity = Operation.step(.identity)
    package static let modifier = Operation.step(.modifier)
    package static let nativeMap = Operation.step(.nativeMap)
    package static let scanout = Operation.step(.scanout)
    package static let witness = Operation.step(.witness)
    package static let writeback = Operation.step(.writeback)
  }
}

extension PrimeError.Operation: CustomStringConvertible {
  /// The C name, or the word for the step.
  public var description: String {
    switch self {
    case .call(let name): name
    case .step(let step): step.rawValue
    case .promise(let name): name
    }
  }
}

extension PrimeError.Operation: ExpressibleByStringInterpolation {
  /// A call by its C name.
  public init(stringLiteral name: String) { self = .call(name) }
}
