internal import Glibc

/// Strings as `exec` and `posix_spawn` want a list of them: copies, and NULL behind the last.
///
/// Safe to hold: the copies are freed with this object.
@safe package final class CStringList {
  package let list: [UnsafeMutablePointer<CChar>?]

  package init(_ strings: [String]) {
    // Safe: each copy is freed once, in deinit.
    unsafe list = strings.map { unsafe strdup($0) } + [nil]
  }

  deinit {
    // Safe: these are the copies that strdup made.
    unsafe list.forEach { unsafe free($0) }
  }
}
