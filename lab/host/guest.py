"""The folder that the guest starts from, and the script that it runs COMMAND with."""

import os
import secrets
import shlex
import shutil
import subprocess
import tempfile

from kernel import LAB, cache
from report import Cannot

PREFIX = "prime-lab."
# The modules of a device, of which a kernel has one: the driver of cirrus was renamed.
MODULES = {"virtio": ("virtio-gpu",), "cirrus": ("cirrus", "cirrus-qemu")}
PASSED_ON = ("NO_COLOR", "TERM", "CI", "LD_LIBRARY_PATH", "PATH", "HOME", "LANG", "LC_ALL")
PASSED_ON_PREFIXES = ("PRIME_", "SWIFT_")


class Folder:
    """A small root file system in a temporary folder: busybox, the guest's scripts, and what they need to know."""

    def __init__(self, options, kernel):
        self.options = options
        self.kernel = kernel
        self.results = prepare_results(options.results)
        # Ends each of COMMAND's streams; drawn anew so that no output can hold it by chance.
        self.end_of_stream = b"\xff\x00lab" + secrets.token_bytes(16)

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}.")
        try:
            self.root = os.path.join(self.path, "root")
            self.make_root()
            self.make_scripts()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error):
        shutil.rmtree(self.path, ignore_errors=True)

    def make_root(self):
        for name in ("bin", "dev", "etc", "lab", "lib", "proc", "root", "run", "sbin", "sys", "tmp", "usr/bin", "var/log", "var/tmp"):
            os.makedirs(os.path.join(self.root, name))
        busybox = shutil.which("busybox")
        shutil.copy(busybox, os.path.join(self.root, "bin", "busybox"))
        applets = subprocess.run([busybox, "--list"], stdout=subprocess.PIPE, check=True, text=True).stdout.split()
        for applet in applets:
            if applet != "busybox":
                os.symlink("busybox", os.path.join(self.root, "bin", applet))
        self.write("etc/fstab", "")
        self.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
        self.write("etc/group", "root:x:0:\n")

    def make_scripts(self):
        for name in ("start", "enter", "nodes", "dump"):
            shutil.copy(os.path.join(LAB, "guest", name), os.path.join(self.root, "lab", name))
        # On COMMAND's PATH.
        os.mkdir(os.path.join(self.root, "lab", "bin"))
        for name in ("unplug", "check"):
            shutil.copy(os.path.join(LAB, "guest", name), os.path.join(self.root, "lab", "bin", f"lab-{name}"))
        modules = [self.module(name) for name in self.options.devices]
        modules += self.options.parts.modules
        own = self.options.parts.own_modules + self.options.own_modules
        linked = {name for module in own for name in module.needs()}
        modules += sorted(linked - set(modules) - {module.name() for module in own})
        settings = {
            "modules_base": self.kernel.modules_base or "",
            "modules": " ".join(modules),
            # They are in no index, so they are loaded by their paths.
            "own_modules": " ".join(f"{module.path}|{module.parameters()}" for module in own),
            "results": self.results or "",
            "use_udev": os.environ.get("PRIME_LAB_UDEV", "yes"),
        }
        self.write("lab/settings", "".join(f"{key}={shlex.quote(value)}\n" for key, value in settings.items()))
        self.write("lab/command", self.command_script())
        with open(os.path.join(self.root, "lab", "end-of-stream"), "wb") as file:
            file.write(self.end_of_stream)

    def module(self, device):
        names = MODULES.get(device, (device,))
        return next((name for name in names if self.kernel.has_module(name)), names[0])

    def write(self, name, text):
        # The names of files and the arguments need not be UTF-8.
        with open(os.path.join(self.root, name), "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)

    def command_script(self):
        lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(self.environment().items())]
        lines += [
            "ulimit -H -n 65536; ulimit -S -n 1024; ulimit -S -c 0",
            f"cd {shlex.quote(os.getcwd())} || exit 126",
            "exec " + " ".join(shlex.quote(argument) for argument in self.options.command),
        ]
        return "\n".join(lines) + "\n"

    def environment(self):
        result = {
            name: value
            for name, value in os.environ.items()
            if (name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)) and name.isidentifier()
        }
        for name in ("PRIME_LAB", "PRIME_LAB_KUNIT", "PRIME_LAB_OWN", "PRIME_LAB_RESULTS", "PRIME_LAB_WITH"):
            result.pop(name, None)
        result["PRIME_LAB"] = self.kernel.release
        own = [driver for module in self.options.own_modules for driver in module.drivers()]
        if own:
            result["PRIME_LAB_OWN"] = " ".join(own)
        if self.options.parts.names:
            result["PRIME_LAB_WITH"] = " ".join(self.options.parts.names)
        result.update(self.options.parts.guest_environment)
        # The kernel's parser of KTAP, which lab/prepare takes from the kernel's source.
        kunit = os.path.join(cache(), "kunit")
        if os.path.exists(os.path.join(kunit, "kunit.py")):
            result["PRIME_LAB_KUNIT"] = kunit
        if self.results:
            result["PRIME_LAB_RESULTS"] = self.results
        path = result.get("PATH") or "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        binaries = binary_folder()
        result["PATH"] = ":".join(filter(None, (binaries, path, "/run/prime-lab/bin")))
        return result


def remove_left_over():
    """Removes the folders of runs that were killed in a way that left them no time to."""
    parent = tempfile.gettempdir()
    for name in os.listdir(parent):
        owner = name.removeprefix(PREFIX).split(".")[0]
        if not name.startswith(PREFIX) or not owner.isdigit() or os.path.exists(f"/proc/{owner}"):
            continue
        path = os.path.join(parent, name)
        if os.lstat(path).st_uid == os.geteuid():
            shutil.rmtree(path, ignore_errors=True)


def binary_folder():
    """Where the built prime-tool is."""
    if os.environ.get("PRIME_TOOL_BIN_DIR"):
        return os.path.abspath(os.environ["PRIME_TOOL_BIN_DIR"])
    for name in ("release", "debug"):
        folder = os.path.join(os.path.dirname(LAB), ".build", name)
        if os.path.exists(os.path.join(folder, "prime-tool")):
            return folder
    return None


def prepare_results(name):
    if name is None:
        return None
    try:
        os.makedirs(name, exist_ok=True)
    except OSError as error:
        raise Cannot(f"cannot make the results folder {name}: {error.strerror}") from error
    return os.path.realpath(name)
