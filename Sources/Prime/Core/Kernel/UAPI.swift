internal import CDrm
internal import Glibc

// Numbers of the kernel's headers that more than one part of the libraries uses.

/// The flags of `DMA_BUF_IOCTL_SYNC` (`DMA_BUF_SYNC_*` of `linux/dma-buf.h`); START is the absence of END.
package enum SyncFlags {
  package static let read: UInt64 = 1 << 0
  package static let write: UInt64 = 1 << 1
  package static let readWrite = read | write
  package static let end: UInt64 = 1 << 2
}

/// The flags of `DRM_IOCTL_PRIME_HANDLE_TO_FD` (`drm/drm.h`), which are those of `open(2)`.
package enum PrimeFlags {
  /// `DRM_CLOEXEC`.
  package static let closeOnExec = UInt32(O_CLOEXEC)
  /// `DRM_RDWR`.
  package static let readWrite = UInt32(O_RDWR)
}

/// The flags of `DRM_IOCTL_MODE_ATOMIC` (`DRM_MODE_PAGE_FLIP_*` and `DRM_MODE_ATOMIC_*` of `drm/drm_mode.h`).
package enum CommitFlags {
  /// An event tells when the change is on screen.
  package static let event: UInt32 = 0x1
  /// Only asks whether it could be done.
  package static let testOnly: UInt32 = 0x100
  /// Returns before it is done.
  package static let nonblocking: UInt32 = 0x200
  /// The change may make the screen blink.
  package static let allowModeset: UInt32 = 0x400
}

/// What a client of an open file can do, for `DRM_IOCTL_SET_CLIENT_CAP` (`DRM_CLIENT_CAP_*` of `drm/drm.h`).
package enum ClientCapability {
  /// Primary and cursor planes are listed as well.
  package static let universalPlanes: UInt64 = 2
  /// Atomic mode setting, which needs universal planes.
  package static let atomic: UInt64 = 3
  /// Writeback connectors are listed; it needs atomic mode setting.
  package static let writebackConnectors: UInt64 = 5
  /// The client sets the hot spot of a virtual device's cursor (Linux 6.6).
  package static let cursorHotspots: UInt64 = 6
}

/// The values of a plane's property `type` (`enum drm_plane_type`).
package enum PlaneType {
  package static let overlay: UInt64 = 0
  package static let primary: UInt64 = 1
  package static let cursor: UInt64 = 2
}

/// The types of connectors that are no wire (`DRM_MODE_CONNECTOR_*` of `drm/drm_mode.h`).
package enum ConnectorType {
  package static let writeback: UInt32 = 18
}

/// What `fstatfs` says of a file's kind (`linux/magic.h`).
package enum FileSystemMagic {
  /// `DMA_BUF_MAGIC`.
  package static let dmaBuf: UInt64 = 0x444d_4142
}

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
