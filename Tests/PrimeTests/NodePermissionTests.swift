import Testing

@testable import Prime

@Suite("Why a node may not be opened")
struct NodePermissionTests {
  /// `crw-rw---- root video`, and somebody who is in a group of his own.
  private let node = NodePermission(
    mode: 0o660, owner: 0, group: 44, groupName: "video", caller: 1000, callerGroups: [1000])

  private func reason(_ errno: Errno = .permissionDenied, _ change: (inout NodePermission) -> Void = { _ in }) -> String
  {
    var changed = node
    change(&changed)
    return changed.reason(errno, path: "/dev/dri/card0")
  }

  @Test func `a group that can be joined is named`() {
    #expect(
      reason() == "it belongs to the group video: join it with `sudo usermod -aG video $USER` and log in again")
  }

  @Test func `a member whose session is older logs in again`() {
    #expect(
      reason { $0.isMemberByName = true }
        == "you are a member of its group video, and this session is older than that: log in again")
  }

  @Test func `a member is not told to join`() {
    let sentence =
      "you are in its group video already, and its mode 0640 does not let that read and write: give it 0660 by a "
    #expect(
      reason {
        $0.mode = 0o640
        $0.callerGroups = [44, 1000]
      } == sentence + "udev rule")
  }

  @Test func `a group that the user namespace does not know cannot be joined`() {
    let change: (inout NodePermission) -> Void = {
      $0.group = 65534
      $0.groupName = "nogroup"
      $0.isInUserNamespace = true
    }
    let sentence =
      "its group is not mapped in this user namespace: run outside of it, or keep your groups in it (podman: "
    #expect(reason(.permissionDenied, change) == sentence + "`--group-add keep-groups`)")
    // To be in one group that is not mapped says nothing of another one.
    #expect(
      reason {
        change(&$0)
        $0.callerGroups = [65534]
        $0.mode = 0o600
      } == "only root may open it: run as root, or give the node to a group with a udev rule")
  }

  @Test func `a group without a name is joined by its number`() {
    let sentence =
      "it belongs to the group 993, which has no name here: join that number (in a container `--group-add 993`)"
    #expect(
      reason {
        $0.group = 993
        $0.groupName = nil
      } == sentence)
  }

  @Test func `a node that its group may not open is root's`() {
    let sentence = "only root may open it: run as root, or give the node to a group with a udev rule"
    #expect(reason { $0.mode = 0o600 } == sentence)
    #expect(
      reason {
        $0.group = 0
        $0.groupName = "root"
      } == sentence)
  }

  @Test func `what the mode allows and EPERM forbids is a device cgroup's`() {
    let sentence =
      "its mode 0660 allows it, and the device cgroup of this container or service forbids it: start it with "
      + "`--device /dev/dri/card0` (in a unit of systemd `DeviceAllow=/dev/dri/card0 rw`)"
    #expect(reason(.notPermitted) { $0.caller = 0 } == sentence)
    #expect(reason(.notPermitted) { $0.callerGroups = [44] } == sentence)
  }

  @Test func `what the mode allows and EACCES forbids is a security module's`() {
    let sentence =
      "its mode 0660 allows it: a security module (SELinux, AppArmor) forbids it, which the kernel log tells"
    #expect(reason { $0.callerGroups = [44] } == sentence)
    #expect(reason { $0.caller = 0 } == sentence)
  }

  @Test func `an owner is told what the mode lacks`() {
    #expect(
      reason {
        $0.caller = 0o777
        $0.owner = 0o777
        $0.mode = 0o440
      } == "its mode 0440 does not let its owner read and write: `chmod u+rw /dev/dri/card0`")
  }

  @Test func `a file system without devices is named before anything else`() {
    #expect(
      reason { $0.isOnNodev = true }
        == "its file system is mounted nodev, on which no device can be opened: mount it without")
  }

  @Test func `a node that is not there has none`() {
    #expect(NodePermission(of: "/dev/dri/nosuch", by: FakeKernel([])) == nil)
  }
}
