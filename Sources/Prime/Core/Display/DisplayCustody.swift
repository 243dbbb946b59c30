internal import Synchronization

/// Who is told of each display that this process takes, so that it is put back also where the process dies.
package enum DisplayCustody {
  private struct Watch {
    var taken: @Sendable (String, SavedDisplayState) -> Void
    var restored: @Sendable (String) -> Void
  }

  private static let current = Mutex<Watch?>(nil)

  /// Has somebody told of every display from now on, by the path of its node.
  ///
  /// `taken` is called before anything on a display changes, with the way back; what it is told must be safe elsewhere when
  /// it returns. `restored` is called when the display shows again what it showed, and not where that failed.
  package static func watch(
    taken: @escaping @Sendable (String, SavedDisplayState) -> Void, restored: @escaping @Sendable (String) -> Void
  ) {
    current.withLock { $0 = Watch(taken: taken, restored: restored) }
  }

  /// Says that a display is about to be changed.
  package static func take(_ path: String, _ state: SavedDisplayState) {
    current.withLock { $0 }?.taken(path, state)
  }

  /// Says that it is as it was.
  package static func giveBack(_ path: String) {
    current.withLock { $0 }?.restored(path)
  }
}
