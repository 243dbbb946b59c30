internal import CDrm
internal import Glibc

/// An error number of the kernel, kept as the number it is: unknown values are printed, never refused.
public struct Errno: RawRepresentable, Hashable, Sendable, Error {
  /// The positive number, as in `errno.h`.
  public let rawValue: Int32

  /// Wraps a positive error number.
  public init(rawValue: Int32) {
    self.rawValue = rawValue
  }

  /// Finds the number of a C spelling, for example `ENODEV`.
  package init?(name: String) {
    guard let known = (1...133).map(Errno.init(rawValue:)).first(where: { $0.name == name }) else { return nil }
    self = known
  }

  /// The C spelling, for example `ENODEV`; the number where glibc has no name for it.
  public var name: String {
    // Safe: glibc returns NULL or a string that lives as long as the program.
    guard let name = unsafe strerrorname_np(rawValue) else { return "errno \(rawValue)" }
    return unsafe String(cString: name)
  }

  /// What the C library says of it, in English whatever the locale, for example `No such device`.
  public var meaning: String {
    // Safe: glibc returns NULL or a string that lives as long as the program.
    guard let meaning = unsafe strerrordesc_np(rawValue) else { return "unknown error" }
    return unsafe String(cString: meaning)
  }
}

extension Errno: CustomStringConvertible {
  /// Name and meaning: `ENODEV (No such device)`.
  public var description: String { "\(name) (\(meaning))" }
}

extension Errno {
  /// The corresponding C constant is `EACCES`.
  public static let permissionDenied = Errno(rawValue: EACCES)
  /// The corresponding C constant is `EPERM`.
  public static let notPermitted = Errno(rawValue: EPERM)
  /// The corresponding C constant is `EINVAL`.
  public static let invalidArgument = Errno(rawValue: EINVAL)
  /// The corresponding C constant is `ENODEV`.
  public static let noSuchDevice = Errno(rawValue: ENODEV)
  /// The corresponding C constant is `ENXIO`.
  public static let noSuchAddress = Errno(rawValue: ENXIO)
  /// The corresponding C constant is `ENOENT`.
  public static let noSuchFile = Errno(rawValue: ENOENT)
  /// The corresponding C constant is `ENOSYS`.
  public static let notImplemented = Errno(rawValue: ENOSYS)
  /// The corresponding C constant is `EOPNOTSUPP`.
  public static let notSupported = Errno(rawValue: EOPNOTSUPP)
  /// The corresponding C constant is `ENOTTY`.
  public static let notATerminal = Errno(rawValue: ENOTTY)
  /// The corresponding C constant is `EINTR`.
  public static let interrupted = Errno(rawValue: EINTR)
  /// The corresponding C constant is `EAGAIN`.
  public static let tryAgain = Errno(rawValue: EAGAIN)
  /// The corresponding C constant is `EBUSY`.
  public static let busy = Errno(rawValue: EBUSY)
  /// The corresponding C constant is `EIO`.
  public static let inputOutput = Errno(rawValue: EIO)
  /// The corresponding C constant is `ENOMEM`.
  public static let noMemory = Errno(rawValue: ENOMEM)
  /// The corresponding C constant is `EMFILE`.
  public static let tooManyOpenFiles = Errno(rawValue: EMFILE)
  /// The corresponding C constant is `ENFILE`.
  public static let tooManyOpenFilesInSystem = Errno(rawValue: ENFILE)
  /// The corresponding C constant is `EOVERFLOW`.
  public static let overflow = Errno(rawValue: EOVERFLOW)
  /// The corresponding C constant is `EBADF`.
  public static let badDescriptor = Errno(rawValue: EBADF)
  /// The corresponding C constant is `EFAULT`.
  public static let badAddress = Errno(rawValue: EFAULT)
  /// The corresponding C constant is `ERANGE`.
  public static let outOfRange = Errno(rawValue: ERANGE)
  /// The corresponding C constant is `ENOSPC`.
  public static let noSpace = Errno(rawValue: ENOSPC)
  /// The corresponding C constant is `ESPIPE`.
  public static let illegalSeek = Errno(rawValue: ESPIPE)
  /// The corresponding C constant is `EBADFD`.
  public static let badDescriptorState = Errno(rawValue: EBADFD)
  /// The corresponding C constant is `deadline`: a deadline of this library or the kernel's own passed.
  public static let timedOut = Errno(rawValue: ETIMEDOUT)
  /// The corresponding C constant is `ETIME`: a syncobj did not signal in the time that the kernel was given.
  public static let timerExpired = Errno(rawValue: ETIME)
  /// The corresponding C constant is `cancelled`: the caller asked to stop.
  public static let cancelled = Errno(rawValue: ECANCELED)
  /// The corresponding C constant is `EPROTO`: the other end of a socket did not keep to the protocol.
  public static let protocolError = Errno(rawValue: EPROTO)
  /// The corresponding C constant is `EPIPE`.
  public static let brokenPipe = Errno(rawValue: EPIPE)
  /// The corresponding C constant is `EBADMSG`.
  public static let badMessage = Errno(rawValue: EBADMSG)
  /// The corresponding C constant is `ECONNRESET`.
  public static let connectionReset = Errno(rawValue: ECONNRESET)
  /// The corresponding C constant is `ECONNREFUSED`.
  public static let connectionRefused = Errno(rawValue: ECONNREFUSED)
  /// The corresponding C constant is `EADDRINUSE`.
  public static let addressInUse = Errno(rawValue: EADDRINUSE)
  /// The corresponding C constant is `EPROTOTYPE`.
  public static let wrongProtocolType = Errno(rawValue: EPROTOTYPE)
  /// The corresponding C constant is `ENAMETOOLONG`.
  public static let nameTooLong = Errno(rawValue: ENAMETOOLONG)
  /// The corresponding C constant is `ENOTSOCK`.
  public static let notASocket = Errno(rawValue: ENOTSOCK)
}

extension Errno {
  /// What says nothing of the device or file that was asked for, and all of the process that asks.
  package static let ofThisProcess: Set<Errno> = [
    .tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory, .interrupted,
  ]
}
