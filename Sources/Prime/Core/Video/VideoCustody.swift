internal import Synchronization

/// One thing that was changed on a video device, and what it was.
package enum VideoChange: Hashable, Sendable, Codable {
  /// The chosen input or output.
  case connection(isOutput: Bool, Int32)
  /// The timings of digital video of the chosen input or output.
  case timings(KernelVideoTimings)
  /// A control, by its number.
  case control(UInt32, Int32)
  /// The format of a queue.
  case format(KernelVideoFormat)

  /// Puts it back; nil where it is as it was.
  func putBack(on file: VideoFile) -> PrimeError? {
    let (kernel, descriptor) = (file.kernel, file.rawDescriptor)
    let answer: (operation: PrimeError.Operation, result: CallResult<Void>)
    switch self {
    case .connection(let isOutput, let index):
      answer = (
        isOutput ? "VIDIOC_S_OUTPUT" : "VIDIOC_S_INPUT",
        kernel.videoChooseConnection(descriptor, isOutput: isOutput, index: index)
      )
    case .timings(let timings): answer = ("VIDIOC_S_DV_TIMINGS", kernel.videoSetTimings(descriptor, timings))
    case .control(let id, let value):
      // What is as it was is not set again: a control may reset others.
      if case .success(value) = kernel.videoControl(descriptor, id) { return nil }
      answer = ("VIDIOC_S_CTRL", kernel.videoSetControl(descriptor, id, value))
    case .format(let format): answer = ("VIDIOC_S_FMT", kernel.videoSetFormat(descriptor, format).map { _ in })
    }
    guard case .failure(let errno) = answer.result else { return nil }
    return PrimeError(operation: answer.operation, errno: errno, subject: file.subject)
  }
}

/// The settings of video devices as they were before a process changed them, to be put back where that process is gone.
package struct ChangedVideo: Hashable, Sendable, Codable {
  /// The node's path.
  package let path: String
  /// What it was.
  package let change: VideoChange

  /// Puts everything back, the last change first.
  ///
  /// What cannot be put back keeps nothing else from it.
  ///
  /// - Throws: the first failure of a call.
  package static func putBack(_ changes: [ChangedVideo]) throws(PrimeError) {
    var files: [String: VideoFile] = [:]
    var failure: PrimeError?
    for changed in changes.reversed() {
      do throws(PrimeError) {
        let file = if let open = files[changed.path] { open } else { try VideoFile.open(changed.path) }
        files[changed.path] = file
        failure = failure ?? changed.change.putBack(on: file)
      } catch {
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
  }
}

/// Who is told of each setting of a video device that this process changes, so that it is put back also where the process dies.
package enum VideoCustody {
  private struct Watch {
    var changes: @Sendable (Int, [ChangedVideo]) -> Void
    var restored: @Sendable (Int) -> Void
  }

  private static let current = Mutex<Watch?>(nil)
  private static let lastNumber = Mutex(0)

  /// Has somebody told of every change from now on, by a number that is one for what is put back together.
  ///
  /// `changes` is called before anything changes, with what was; what it is told must be safe elsewhere when it returns.
  /// `restored` is called when all of that number was put back.
  package static func watch(
    changes: @escaping @Sendable (Int, [ChangedVideo]) -> Void, restored: @escaping @Sendable (Int) -> Void
  ) {
    current.withLock { $0 = Watch(changes: changes, restored: restored) }
  }

  /// A number for changes that are put back together.
  static func newNumber() -> Int {
    lastNumber.withLock { number in
      number += 1
      return number
    }
  }

  /// Says what is about to be changed.
  static func note(_ number: Int, _ changes: [ChangedVideo]) {
    current.withLock { $0 }?.changes(number, changes)
  }

  /// Says that everything is as it was.
  static func giveBack(_ number: Int) {
    current.withLock { $0 }?.restored(number)
  }
}
