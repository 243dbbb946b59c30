internal import CDrm

/// What is taken from a memfd for good (`fcntl(2)`, `F_ADD_SEALS`); udmabuf wants `shrink` alone.
package enum MemorySeals {
  /// `F_ADD_SEALS`: the call that adds some.
  package static let add = CInt(CDRM_ADD_SEALS)
  /// `F_GET_SEALS`: the call that tells them.
  package static let get = CInt(CDRM_GET_SEALS)
  /// `F_SEAL_SHRINK`: it gets no smaller, so that no page of it goes away.
  package static let shrink = CInt(CDRM_SEAL_SHRINK)
  /// `F_SEAL_GROW`: it gets no larger.
  package static let grow = CInt(CDRM_SEAL_GROW)
  /// `F_SEAL_WRITE`: it is not written any more.
  package static let write = CInt(CDRM_SEAL_WRITE)
}
