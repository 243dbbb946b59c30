public import Prime

/// The result of `scanout`: the model that text and JSON are made from.
///
/// Its keys are stable within a schema version.
public struct ScanoutReport: FailureReporting, Hashable, Sendable, Codable {
  /// The name and version of the schema of `scanout --json`.
  public static let currentSchema = "prime-tool/scanout/1"

  /// One frame as it was presented.
  public struct Frame: Hashable, Sendable, Codable {
    /// What is known of a frame's content.
    public enum Content: String, Hashable, Sendable, Codable {
      /// A witness saw it.
      case proven
      /// Nobody could look at this frame.
      case unseen
      /// A witness saw something else.
      case mismatch
    }

    /// The number of the frame, from 0.
    public var index: Int
    /// The CRTC's frame counter when it appeared; nil for the first, which comes with the mode.
    public var sequence: UInt32?
    /// From the commit to the event that says it appeared, in nanoseconds; for the first, to the end of the modeset.
    public var latency: Int64
    /// How many vertical blanks passed between the commit and the one at which it appeared.
    public var missedVblanks: Int
    /// What is known of its content.
    public var content: Content
  }

  /// A part of the screen, in pixels from its upper left corner.
  public struct Rectangle: Hashable, Sendable, Codable {
    /// The first column.
    public var x: Int
    /// The first row.
    public var y: Int
    /// How many columns.
    public var width: Int
    /// How many rows.
    public var height: Int

    /// Names a part of the screen.
    public init(x: Int, y: Int, width: Int, height: Int) {
      self.x = x
      self.y = y
      self.width = width
      self.height = height
    }
  }

  /// What was shown on a second plane, above the picture.
  public struct Overlay: Hashable, Sendable, Codable {
    /// The exporter's name.
    public var exporter: String
    /// The node the exporter was opened through, nil for system memory.
    public var exporterNode: String?
    /// How the buffers were allocated.
    public var allocator: AllocatorKind
    /// The pixel format's name.
    public var format: String
    /// The modifier of the buffers.
    public var modifier: String?
    /// The alpha of its pixels, of 255.
    public var alpha: Int
    /// The part of the screen that it covers.
    public var rectangle: Rectangle?
    /// The plane's object id.
    public var plane: UInt32?
    /// What the driver offers that plane for.
    public var planeKind: SecondPlane.Kind?
  }

  /// Which schema this is.
  public var schema = Self.currentSchema
  /// Where it was made.
  public var host = HostDescription.current()
  /// The exporter's name.
  public var exporter: String
  /// The node the exporter was opened through, nil for system memory.
  public var exporterNode: String?
  /// How the buffers were allocated.
  public var allocator: AllocatorKind
  /// The display device's name.
  public var display: String
  /// The node the display was opened through.
  public var displayNode: String?
  /// The connector's name.
  public var connector: String?
  /// The CRTC's index on its device.
  public var crtc: Int?
  /// The plane's object id.
  public var plane: UInt32?
  /// The video device into whose memory the display engine wrote, and which put that out; nil for memory of the display's.
  public var target: String?
  /// The node of that video device.
  public var targetNode: String?
  /// What was shown above the picture, nil for one plane.
  public var overlay: Overlay?
  /// The mode, as `1024x768@60.004`.
  public var mode: String?
  /// The pixel format's name.
  public var format: String
  /// The modifier of the buffers.
  public var modifier: String?
  /// The name of the content.
  public var pattern: String
  /// The number that repeats seeded content.
  public var seed: UInt64
  /// `atomic` or `legacy`.
  public var path: String?
  /// `proven`: a witness saw the content; `shared`: the kernel accepted it and nobody could look; `held`: nor is a mapping of the
  /// buffer known to have been made.
  public var verdict: Verdict = .error
  /// Who saw what was shown.
  public var witnesses: [ObserverName] = []
  /// Who could not look, and why.
  public var tried: [CellReport.Attempt] = []
  /// Who declined, for `refused`.
  public var refusedBy: Refuser?
  /// The call that was declined or failed.
  public var call: String?
  /// The name of the errno that the kernel answered; nil where it answered none.
  public var errno: String?
  /// What was found where no errno was answered; nil elsewhere.
  public var finding: PrimeError.Finding?
  /// Why, in a sentence.
  public var reason: String?
  /// What the kernel printed about the call that failed, where it was asked and permitted; and what it complained of meanwhile,
  /// where that names a process or a driver of this display.
  public var kernelLog: [String]?
  /// The frames, in order.
  public var frames: [Frame] = []
  /// How many frames the display engine did not write back in time, so that they had to be composed again or were given
  /// up; what a frame's content is known to be is not touched by it.
  public var lostWritebacks: Int = 0
  /// The largest difference of a component that was met and allowed, in steps of an eight-bit component.
  public var tolerance: Int = 0
  /// Whether the display shows again what it showed before; nil where nothing was changed.
  public var restored: Bool?
  /// The same buffers on further displays at the same time, each with a verdict of its own; nil for one display.
  public var alongside: [ScanoutReport]?
}
