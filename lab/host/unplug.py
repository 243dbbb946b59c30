"""Takes devices out of the machine while COMMAND runs: what guest/unplug asks for is asked of QEMU."""

import json
import time

# What QEMU 7.2 takes out of a running machine; its cirrus-vga and virtio-gpu-pci "do not support hotplugging". None of them
# can come back: the console of a display outlives it, keeps its memory, and QEMU aborts when that is registered again.
PLUGGABLE = ("bochs", "qxl")
DEADLINE = 60
LOOK_EVERY = 0.2


def port(name):
    """The root port that a device sits behind: QEMU takes nothing out of the root bus of its q35 machine."""
    return f"port-{name}"


class Unplug:
    """One request at a time, a line each way: `unplug bochs`, then `gone` or `failed` with the reason."""

    def __init__(self, devices, ask, answer):
        self.devices = set(devices)
        self.ask, self.answer = ask, answer
        self.lines = {"qmp": b"", "devices": b""}
        self.waiting = None
        self.deadline = self.looked = 0
        self.tell({"execute": "qmp_capabilities"})

    def tell(self, command):
        self.ask(json.dumps(command).encode() + b"\n")

    def feed(self, source, data):
        *lines, self.lines[source] = (self.lines[source] + data).split(b"\n")
        for line in lines:
            if source == "qmp":
                self.heard(json.loads(line))
            else:
                self.requested(*line.decode("utf-8", "replace").partition(" ")[::2])

    def requested(self, verb, name):
        reason = self.objection(verb, name)
        if reason:
            self.answer(f"failed {reason}\n".encode())
            return
        self.waiting = name
        self.deadline = time.monotonic() + DEADLINE
        self.tell({"execute": "device_del", "arguments": {"id": name}, "id": "unplug"})

    def objection(self, verb, name):
        if verb != "unplug":
            return f"the lab knows unplug, not {verb}"
        if self.waiting:
            return f"{self.waiting} is still on its way out"
        if name not in PLUGGABLE:
            return f"QEMU cannot take {name} out of a running machine; it can take out {' and '.join(PLUGGABLE)}"
        return None if name in self.devices else f"{name} is not in this machine, or not any more"

    def heard(self, message):
        if not self.waiting:
            return
        if "error" in message:
            self.settle(f"failed QEMU says: {message['error'].get('desc', 'no reason')}")
        elif message.get("id") == "look" and self.waiting not in [child["name"] for child in message["return"]]:
            self.devices.discard(self.waiting)
            self.settle("gone")

    def settle(self, text):
        self.waiting = None
        self.answer(f"{text}\n".encode())

    def tick(self):
        """Looks whether the device is out: QEMU only asks the guest to let go, and of a display it never sends DEVICE_DELETED."""
        now = time.monotonic()
        if not self.waiting:
            return
        if now > self.deadline:
            self.settle(f"failed the kernel did not let go of {self.waiting} within {DEADLINE} s: does it have CONFIG_HOTPLUG_PCI_ACPI?")
        elif now > self.looked + LOOK_EVERY:
            self.looked = now
            self.tell({"execute": "qom-list", "arguments": {"path": "/machine/peripheral"}, "id": "look"})
