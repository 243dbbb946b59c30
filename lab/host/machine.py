"""Starts QEMU through virtme-ng, carries COMMAND's streams, and tells how it went."""

import os
import select
import shlex
import signal
import socket
import subprocess
import time

import accelerator
import kernel_log
import unplug
from kernel import cache
from report import CANNOT, DEADLINE, KERNEL_COMPLAINED

VIRTME = "virtme-ng-1.42"
QEMU_DEVICES = {
    "cirrus": "cirrus-vga",
    "bochs": "bochs-display",
    "virtio": "virtio-gpu-pci",
    "qxl": "qxl",
}
# The guest's virtio ports, each with a socket here; and QEMU's own monitor.
CHANNELS = ("control", "stdout", "stderr", "devices")
MONITOR = "qmp"


BOOTS = 3


def run(options, kernel, folder, report):
    deadline = time.monotonic() + options.timeout
    for boot in range(1, BOOTS + 1):
        with Machine(options, kernel, folder, report) as machine:
            code = machine.wait(deadline)
        if machine.started or boot == BOOTS or not machine.log.lost_patching_race():
            break
        report.say(f"the emulated processors tripped over the kernel's patching of its own code (int3) in boot {boot}; booting again")
    return Verdict(machine, folder, report).exit_code(code)


class Stream:
    """One of COMMAND's streams: passes bytes on at once, but for the mark that ends it."""

    def __init__(self, end, descriptor):
        self.end = end
        self.descriptor = descriptor
        self.held = b""
        self.ended = False
        self.broken = False

    def feed(self, data):
        data = self.held + data
        if data.endswith(self.end):
            data, self.held, self.ended = data[: -len(self.end)], b"", True
        else:
            keep = next((n for n in range(min(len(self.end) - 1, len(data)), 0, -1) if data.endswith(self.end[:n])), 0)
            data, self.held = data[: len(data) - keep], data[len(data) - keep :]
        while data and self.descriptor is not None:
            try:
                data = data[os.write(self.descriptor, data) :]
            except BlockingIOError:
                select.select([], [self.descriptor], [])
            except BrokenPipeError:
                # The reader is gone, as with `lab/run -- COMMAND | head`.
                self.descriptor = None
                self.broken = True

    def finish(self):
        self.feed(b"")
        if self.held and self.descriptor is not None:
            os.write(self.descriptor, self.held)


class Machine:
    def __init__(self, options, kernel, folder, report):
        self.options, self.kernel, self.folder, self.report = options, kernel, folder, report
        self.log = kernel_log.Log()
        self.stage = "QEMU and the kernel"
        self.started = False
        self.ended = None
        self.exit = None
        self.failure = None
        self.missing = []
        self.timed_out = False
        self.process = None
        self.line = b""

    def __enter__(self):
        pairs = {name: socket.socketpair() for name in (*CHANNELS, MONITOR)}
        self.sockets = {name: ours for name, (ours, _) in pairs.items()}
        theirs = {name: other for name, (_, other) in pairs.items()}
        try:
            self.start(theirs)
        except BaseException:
            self.__exit__()
            raise
        finally:
            for other in theirs.values():
                other.close()
        self.streams = {"stdout": Stream(self.folder.end_of_stream, 1), "stderr": Stream(self.folder.end_of_stream, 2)}
        pluggable = [name for name in self.options.devices if name in QEMU_DEVICES]
        self.unplug = unplug.Unplug(pluggable, lambda data: self.send(MONITOR, data), lambda data: self.send("devices", data))
        return self

    def __exit__(self, *_error):
        if self.process is not None:
            end_group(self.process)
            self.process.stderr.close()
        for ours in self.sockets.values():
            ours.close()
        if self.options.qmp:
            try:
                os.unlink(self.options.qmp)
            except OSError:
                pass

    def start(self, theirs):
        command = self.command({name: other.fileno() for name, other in theirs.items()})
        self.report.detail(shlex.join(command))
        temporary = os.path.join(self.folder.path, "tmp")
        os.makedirs(temporary, exist_ok=True)
        # virtme-ng leaves temporary files behind when it is killed, and wants descriptors that can be opened again.
        environment = dict(os.environ, TMPDIR=temporary, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        environment.update(self.options.parts.environment)
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # The guest's console comes here, with what virtme-ng and QEMU have to say. A pipe, not a file: QEMU would
            # empty a file, and write over what others wrote to it.
            stderr=subprocess.PIPE,
            cwd="/",
            env=environment,
            start_new_session=True,
            pass_fds=[other.fileno() for other in theirs.values()],
        )

    def command(self, descriptors):
        options = self.options
        kvm = accelerator.kvm_works(self.kernel.path, self.report)
        command = [os.path.join(cache(), VIRTME, "bin", "python3"), "-c", "from virtme.commands.run import main; import sys; sys.exit(main())"]
        command += ["--kimg", self.kernel.path, "--mods", "auto" if self.kernel.modules_base else "none"]
        command += ["--root", self.folder.root, "--user", "root", "--force-9p"]
        command += ["--memory", options.memory, "--cpus", str(options.cpus)]
        command += [] if kvm else ["--disable-kvm"]
        for argument in kernel_arguments() + options.parts.kernel_arguments + options.kernel_args:
            command += ["--kopt", argument]
        command += ["--script-sh", "sh /lab/start"]
        command += ["--show-boot-console", "--qemu-opts", "-device", "virtio-serial-pci,id=labserial,max_ports=8"]
        for name, descriptor in descriptors.items():
            command += ["-chardev", f"socket,id=lab{name},fd={descriptor}"]
        command += ["-mon", f"chardev=lab{MONITOR},mode=control"]
        for name in CHANNELS:
            command += ["-device", f"virtserialport,bus=labserial.0,name=lab.{name},chardev=lab{name}"]
        command += share("/", "lab.root", "readonly=on,")
        if self.folder.results:
            command += share(self.folder.results, "lab.results", "")
        for number, name in enumerate(options.devices):
            bus = ""
            if name in unplug.PLUGGABLE:
                bus = f",bus={unplug.port(name)}"
                command += ["-device", f"pcie-root-port,id={unplug.port(name)},chassis={number + 1},slot={number + 1}"]
            if name in QEMU_DEVICES:
                command += ["-device", f"{options.parts.devices.get(name, QEMU_DEVICES[name])},id={name}{bus}"]
        command += options.parts.qemu_options
        if options.qmp:
            command += ["-qmp", f"unix:{comma(os.path.abspath(options.qmp))},server=on,wait=off"]
        return command + options.qemu_opts

    def wait(self, deadline):
        """COMMAND's exit code, or None when it did not come to one."""
        self.send("control", b"hello\n")
        sources = dict(self.sockets, console=self.process.stderr)
        while not self.done():
            left = deadline - time.monotonic()
            if left <= 0:
                self.timed_out = True
                self.dump(sources.get("console"))
                break
            ready, _, _ = select.select(list(sources.values()), [], [], min(left, unplug.LOOK_EVERY if self.unplug.waiting else 1))
            for name, ours in list(sources.items()):
                if ours in ready and not self.receive(name, ours.fileno()):
                    del sources[name]
            if self.failure or not sources:
                break
            if self.streams["stdout"].broken:
                # What SIGPIPE would have done to COMMAND, had it run here.
                self.exit = 128 + signal.SIGPIPE
                break
            self.unplug.tick()
            if not self.started:
                self.report.waiting(self.stage)
        for stream in self.streams.values():
            stream.finish()
        return self.exit

    def dump(self, console):
        """Has the guest say, on its console, where it hangs; a guest that cannot is given 5 seconds."""
        if not self.send("control", b"dump\n"):
            return
        end = time.monotonic() + 5
        while console and not self.log.dumped and (left := end - time.monotonic()) > 0:
            ready, _, _ = select.select([console], [], [], left)
            if ready and not self.receive("console", console.fileno()):
                break

    def send(self, name, data):
        try:
            self.sockets[name].sendall(data)
        except OSError:
            # The machine is gone, which its other end tells as well.
            return False
        return True

    def done(self):
        if self.exit is None:
            return False
        if all(stream.ended for stream in self.streams.values()) and self.log.ended:
            return True
        # A daemon that COMMAND left behind may hold a stream open; the guest has waited for it already.
        return time.monotonic() > self.exit_deadline

    def receive(self, name, descriptor):
        try:
            data = os.read(descriptor, 1 << 16)
        except OSError:
            data = b""
        if not data:
            return False
        if name == "console":
            self.log.feed(data)
            return True
        if name in ("devices", MONITOR):
            self.unplug.feed(name, data)
            return True
        if name != "control":
            self.streams[name].feed(data)
            return True
        *lines, self.line = (self.line + data).split(b"\n")
        for line in lines:
            self.heard(*line.decode("utf-8", "replace").partition(" ")[::2])
        return True

    def heard(self, word, rest):
        self.report.detail(f"guest: {word} {rest}")
        if word == "stage":
            self.stage = rest
        elif word == "missing":
            self.missing.append(rest)
        elif word == "started":
            self.started = True
            if self.missing:
                self.report.say(f"warning: the kernel {self.kernel.release} has no driver {', '.join(self.missing)}")
        elif word == "ended":
            self.ended = int(rest)
        elif word == "exit":
            self.exit = int(rest)
            self.exit_deadline = time.monotonic() + 10
        elif word == "failed":
            self.failure = rest


class Verdict:
    """Turns what was seen into one exit code, and says why."""

    def __init__(self, machine, folder, report):
        self.machine, self.folder, self.report = machine, folder, report

    def exit_code(self, code):
        machine = self.machine
        complaints = machine.log.complaints()
        if complaints:
            self.report.say("the kernel complained:")
            for line in complaints:
                self.report.say(f"  {line}")
        if code is not None:
            if complaints:
                self.keep_log()
            return KERNEL_COMPLAINED if complaints and code == 0 else code
        if machine.timed_out:
            what = "COMMAND" if machine.started else machine.stage
            self.report.say(f"the deadline of {machine.options.timeout:g} s passed while waiting for {what}")
            self.keep_log()
            return DEADLINE
        if machine.started:
            self.report.say("the guest died while COMMAND ran")
            self.keep_log()
            return KERNEL_COMPLAINED
        self.report.say(machine.failure or f"QEMU ended while waiting for {machine.stage}")
        for line in machine.log.lines()[-5:]:
            self.report.say(f"  {line}")
        self.keep_log()
        return CANNOT

    def keep_log(self):
        folder = self.folder.results or os.path.join(cache(), "logs")
        os.makedirs(folder, exist_ok=True)
        name = os.path.join(folder, f"lab-console-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log")
        with open(name, "wb") as file:
            file.write(self.machine.log.data)
        self.report.say(f"the guest's log is {name}")


def end_group(process):
    """Ends virtme-ng and QEMU, which have a process group of their own, and waits until both are gone."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            break
        process.poll()
        time.sleep(0.02)
    process.wait()


def kernel_arguments():
    return [
        # The whole log, on virtme-ng's serial console: it is there also when the guest hangs or dies.
        "loglevel=7",
        "printk.devkmsg=on",
        # No text console on the DRM devices: it would be one more client of each, and a slow one.
        "drm_kms_helper.fbdev_emulation=0",
        "vkms.enable_writeback=1",
        # Nothing in the guest needs protection from other guests, and the guards cost time at each system call.
        "mitigations=off",
    ]


def share(path, tag, access):
    name = tag.replace(".", "")
    return [
        "-fsdev",
        f"local,id={name},path={comma(path)},{access}security_model=none,multidevs=remap",
        "-device",
        f"virtio-9p-pci,fsdev={name},mount_tag={tag}",
    ]


def comma(text):
    """QEMU ends a value at a comma, unless it is doubled."""
    return text.replace(",", ",,")
