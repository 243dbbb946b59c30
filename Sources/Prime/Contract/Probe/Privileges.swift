internal import CProbe
internal import Glibc
internal import Prime
internal import Synchronization

/// What this thread may do, for a while less.
extension KernelProbe {
  /// Runs `body` without any capability, as the same user: root may then open what is root's, and nothing more.
  ///
  /// DRM asks for `CAP_SYS_ADMIN`, not for a user, so that to it this is an ordinary opener. Nil where it stayed as it was.
  package func withoutCapabilities<Value>(_ body: () throws -> Value) rethrows -> Value? {
    // _LINUX_CAPABILITY_VERSION_3, for this thread.
    let header = memory([0x2008_0522, 0])
    let old = memory([UInt32](repeating: 0, count: 6))
    let (who, kept) = (Int64(bitPattern: header.address), Int64(bitPattern: old.address))
    guard case .success = Self.system(SYS_capget, who, kept) else { return nil }
    // Effective, permitted, inheritable, and the same for the higher 32: what stays permitted can be taken up again.
    let none = memory([0, old.word(at: 1), old.word(at: 2), 0, old.word(at: 4), old.word(at: 5)])
    guard case .success = Self.system(SYS_capset, who, Int64(bitPattern: none.address)) else { return nil }
    defer { _ = Self.system(SYS_capset, who, kept) }
    return try body()
  }

  /// Runs `body` as the user nobody in the group nogroup alone; nil where the process may not become another user.
  ///
  /// Only the effective user changes, so that the way back stays open. Permissions of files look at nothing else.
  package func asNobody<Value>(_ body: () throws -> Value) rethrows -> Value? {
    // NGROUPS_MAX numbers of four bytes.
    let groups = memory(byteCount: 65536 * 4)
    let (user, group) = (Int64(geteuid()), Int64(getegid()))
    guard case .success(let count) = Self.system(SYS_getgroups, 65536, Int64(bitPattern: groups.address)),
      case .success = Self.system(SYS_setgroups, 0)
    else { return nil }
    defer {
      _ = Self.system(SYS_setresuid, -1, user, -1)
      _ = Self.system(SYS_setresgid, -1, group, -1)
      _ = Self.system(SYS_setgroups, count, Int64(bitPattern: groups.address))
      // A change of user takes away that this process ends with its parent.
      _ = Self.system(SYS_prctl, Int64(PR_SET_PDEATHSIG), Int64(SIGKILL))
    }
    guard case .success = Self.system(SYS_setresgid, -1, 65534, -1),
      case .success = Self.system(SYS_setresuid, -1, 65534, -1)
    else { return nil }
    return try body()
  }
}
