public import Prime

/// What to show where, and how to look at it.
public struct ScanoutRequest: Sendable {
  /// What the buffers hold.
  public enum Content: Sendable {
    /// Seeded content that is another in every frame, so that a stale frame is seen.
    case seed
    /// A picture, in every frame with that frame's number in it.
    case picture(TestPicture)
    /// What the exporter, a camera, writes there itself; without an overlay.
    case camera

    /// How reports name it.
    public var name: String {
      switch self {
      case .seed: "seed"
      case .picture(let picture): picture.name
      case .camera: "camera"
      }
    }
  }

  /// One display that the buffers are shown on.
  public struct Display: Hashable, Sendable {
    /// The name of the display device.
    public var name: String
    /// Its primary node.
    public var node: DRMNode
    /// The connector's name; nil for a writeback connector where there is one, else the first with a display.
    public var connector: String?

    /// Names a display.
    public init(name: String, node: DRMNode, connector: String? = nil) {
      self.name = name
      self.node = node
      self.connector = connector
    }
  }

  /// Where the buffers come from.
  public var exporter: Exporter
  /// The displays that show the same buffers at once, at least one, each device once: it has one DRM master.
  public var displays: [Display]
  /// A video device into whose memory the one display's engine writes, and which puts that out; nil for memory of the display's.
  public var target: Importer?
  /// The mode; nil for the display's preferred one.
  public var mode: ModeRequest?
  /// The pixel format.
  public var format: PixelFormat
  /// The modifiers to allocate with; nil leaves the choice to the allocator.
  public var modifiers: [Modifier]?
  /// Whether each plane gets a buffer of its own.
  public var isDisjoint = false
  /// What the buffers hold.
  public var content: Content
  /// A buffer of another exporter on a plane above them; nil for one plane.
  public var overlay: Overlay?
  /// How many frames to show, at least 1.
  public var frames: Int
  /// How long the last frame stays.
  public var hold: Duration
  /// Only asks the kernel whether it would show the first frame.
  public var testOnly: Bool
  /// Uses the calls from before atomic mode setting.
  public var legacy: Bool
  /// Whether to ask the kernel why it refused a call, where that is permitted.
  public var explains: Bool
  /// What seeded content is made from.
  public var seed: UInt64
  /// The moment the work must have ended by.
  public var deadline: Deadline

  /// Asks for one frame of seeded content on a display's default connector.
  public init(
    exporter: Exporter, displayName: String, display: DRMNode, format: PixelFormat, seed: UInt64, deadline: Deadline
  ) {
    self.exporter = exporter
    displays = [Display(name: displayName, node: display)]
    self.format = format
    self.seed = seed
    self.deadline = deadline
    content = .seed
    frames = 1
    hold = .zero
    testOnly = false
    legacy = false
    explains = false
  }
}
