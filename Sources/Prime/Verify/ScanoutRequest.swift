/// What to show where, and how to look at it.
public struct ScanoutRequest: Sendable {
  /// What the buffers hold.
  public enum Content: Sendable {
    /// Seeded content that is another in every frame, so that a stale frame is seen.
    case seed
    /// A picture, the same in every frame.
    case picture(TestPicture)

    /// How reports name it.
    public var name: String {
      switch self {
      case .seed: "seed"
      case .picture(let picture): picture.name
      }
    }
  }

  /// Where the buffers come from.
  public var exporter: Exporter
  /// The name of the display device.
  public var displayName: String
  /// The primary node of the display device.
  public var display: DRMNode
  /// The connector's name; nil for a writeback connector where there is one, else the first with a display.
  public var connector: String?
  /// The mode; nil for the display's preferred one.
  public var mode: ModeRequest?
  /// The pixel format.
  public var format: PixelFormat
  /// The modifiers to allocate with; nil leaves the choice to the allocator.
  public var modifiers: [Modifier]?
  /// What the buffers hold.
  public var content: Content
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
    self.displayName = displayName
    self.display = display
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
