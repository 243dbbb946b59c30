internal import Glibc

/// Who may open a device node, and who asks: what tells why the kernel did not let somebody in.
struct NodePermission: Hashable {
  /// The node's permission bits, for example 0o660.
  var mode: UInt32
  /// The number of the user that it belongs to.
  var owner: UInt32
  /// The number of the group that it belongs to.
  var group: UInt32
  /// The group's name; nil where it has none here.
  var groupName: String?
  /// Whether its file system lets nobody open a device on it (`nodev`, `mount(8)`).
  var isOnNodev = false
  /// The user who asks, by number.
  var caller: UInt32
  /// The groups of the process that asks.
  var callerGroups: Set<UInt32>
  /// Whether the system's list of groups has the caller in the node's, whatever this process has.
  var isMemberByName = false
  /// Whether the process is in a user namespace, where numbers of users and groups are not the machine's.
  var isInUserNamespace = false

  /// The group that stands for each that a user namespace does not know (`/proc/sys/kernel/overflowgid`).
  static let unmappedGroup: UInt32 = 65534

  /// Why an open was refused, and what to do; only what is certain is advised.
  ///
  /// - Parameters:
  ///   - errno: `EACCES` or `EPERM`.
  ///   - path: The node.
  func reason(_ errno: Errno, path: String) -> String {
    if isOnNodev { return "its file system is mounted nodev, on which no device can be opened: mount it without" }
    let bits = String(mode, radix: 8)
    guard !grantsReadAndWrite else {
      // A device cgroup answers EPERM (security/device_cgroup.c), and the permission bits EACCES.
      if errno == .notPermitted {
        return
          "its mode 0\(bits) allows it, and the device cgroup of this container or service forbids it: start it with "
          + "`--device \(path)` (in a unit of systemd `DeviceAllow=\(path) rw`)"
      }
      let root = isInUserNamespace && caller == 0 ? "root of a user namespace is not the machine's, or " : ""
      return
        "its mode 0\(bits) allows it: \(root)a security module (SELinux, AppArmor) forbids it, which the kernel log tells"
    }
    if caller == owner { return "its mode 0\(bits) does not let its owner read and write: `chmod u+rw \(path)`" }
    let name = groupName ?? "\(group)"
    if callerGroups.contains(group) && !isUnmapped {
      return
        "you are in its group \(name) already, and its mode 0\(bits) does not let that read and write: give it 0660 by a "
        + "udev rule"
    }
    guard group != 0, mode & 0o60 == 0o60 else {
      return "only root may open it: run as root, or give the node to a group with a udev rule"
    }
    if isUnmapped {
      return "its group is not mapped in this user namespace: run outside of it, or keep your groups in it (podman: "
        + "`--group-add keep-groups`)"
    }
    if isMemberByName {
      return "you are a member of its group \(name), and this session is older than that: log in again"
    }
    guard groupName != nil else {
      return
        "it belongs to the group \(name), which has no name here: join that number (in a container `--group-add \(name)`)"
    }
    return "it belongs to the group \(name): join it with `sudo usermod -aG \(name) $USER` and log in again"
  }

  private var isUnmapped: Bool { isInUserNamespace && group == Self.unmappedGroup }

  /// Whether the permission bits let the caller read and write, as `acl_permission_check` of `fs/namei.c` goes by them.
  private var grantsReadAndWrite: Bool {
    if caller == 0 && !(isInUserNamespace && owner == Self.unmappedGroup) { return true }
    let shift: UInt32 = caller == owner ? 6 : callerGroups.contains(group) ? 3 : 0
    return mode >> shift & 0o6 == 0o6
  }
}

extension NodePermission {
  /// What there is to know of a node and of this process; nil where the node cannot be looked at.
  init?(of path: String, by kernel: any FileCalls) {
    var status = stat()
    // Safe: fstatat fills the struct it is given.
    guard unsafe fstatat(AT_FDCWD, path, &status, 0) == 0 else { return nil }
    var fileSystem = statvfs()
    // Safe: statvfs fills the struct it is given.
    let isKnown = unsafe statvfs(path, &fileSystem) == 0
    let group = Self.group(status.st_gid)
    let user = kernel.effectiveUser
    self.init(
      mode: UInt32(status.st_mode) & 0o777, owner: status.st_uid, group: status.st_gid, groupName: group?.name,
      isOnNodev: isKnown && fileSystem.f_flag & Self.nodev != 0, caller: user, callerGroups: Self.ownGroups,
      isMemberByName: Self.name(ofUser: user).map { group?.members.contains($0) == true } ?? false,
      isInUserNamespace: Self.isInUserNamespace(kernel))
  }

  /// `ST_NODEV` of `sys/statvfs.h`, which glibc shows under `_GNU_SOURCE` alone.
  private static let nodev: UInt = 4

  private static var ownGroups: Set<UInt32> {
    var groups = [gid_t](repeating: 0, count: 1 << 16)
    // Safe: getgroups writes at most the count it is told, which is the most that Linux has (NGROUPS_MAX).
    let count = unsafe getgroups(Int32(groups.count), &groups)
    return Set(groups.prefix(Int(max(0, count)))).union([getegid()])
  }

  /// In the first one every number means itself, which `uid_map` says in one line.
  private static func isInUserNamespace(_ kernel: any FileCalls) -> Bool {
    guard let map = kernel.text(of: "/proc/self/uid_map") else { return false }
    return map.split { $0 == " " || $0 == "\n" }.map(String.init) != ["0", "0", "4294967295"]
  }

  private static func group(_ number: gid_t) -> (name: String, members: [String])? {
    // Safe: what getgrgid answers is copied at once, and nothing else of this process asks meanwhile.
    guard let group = unsafe getgrgid(number)?.pointee else { return nil }
    var members: [String] = []
    var next = unsafe group.gr_mem
    // Safe: the list ends with NULL.
    while let member = unsafe next?.pointee {
      unsafe members.append(String(cString: member))
      unsafe next = next?.advanced(by: 1)
    }
    return (unsafe String(cString: group.gr_name), members)
  }

  private static func name(ofUser number: uid_t) -> String? {
    // Safe: what getpwuid answers is copied at once, and nothing else of this process asks meanwhile.
    unsafe getpwuid(number).map { unsafe String(cString: $0.pointee.pw_name) }
  }
}
