"""Finds the kernel to boot: one from the cache, or one of the user's own."""

import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys

from report import Cannot

LAB = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def cache():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.realpath(os.environ.get("PRIME_LAB_CACHE") or os.path.join(base, "prime-tool-lab"))


@dataclasses.dataclass
class Kernel:
    path: str
    release: str
    # The folder that holds lib/modules/RELEASE; None when all is built in.
    modules_base: str | None

    def has_module(self, name):
        """Whether the kernel has a module, built in or not, by the lists that depmod and the kernel's build leave."""
        folder = os.path.join(self.modules_base or "/nonexistent", "lib", "modules", self.release)
        # A module's file may spell its name with either.
        spelled = re.escape(name).replace(r"\-", "[-_]")
        pattern = re.compile(rf"^[^:\n]*/{spelled}\.ko", re.MULTILINE)
        for index in ("modules.dep", "modules.builtin"):
            try:
                with open(os.path.join(folder, index), encoding="utf-8") as file:
                    if pattern.search(file.read()):
                        return True
            except OSError:
                pass
        return False


# What each run needs; lab/prepare checks for what only it needs.
PACKAGES = {"qemu-system-x86_64": "qemu-system-x86", "busybox": "busybox-static", "modprobe": "kmod", "file": "file"}


def check_tools():
    search = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    for tool, package in PACKAGES.items():
        if shutil.which(tool, path=search) is None:
            raise Cannot(f"{tool} is missing: install the package {package} (lab/packages lists all of them)")


# Folders of the lab's own modules, and options of lab/run.
FAMILIES = ("personas", "liars")


def is_of_a_series(name):
    return re.fullmatch(r"\d+\.\d+", name) is not None


def find(name):
    """name is a series such as 6.12, or a path."""
    check_tools()
    is_series = is_of_a_series(name)
    if not is_series and not os.path.exists(name):
        raise Cannot(f"there is no kernel at {name}: --kernel takes a series such as 6.12, a kernel image or a build tree")
    prepare(name if is_series else None)
    if not is_series:
        return read(image_in(os.path.realpath(name)))
    with open(os.path.join(cache(), f"kernel-{name}"), encoding="utf-8") as file:
        release = file.read().strip()
    return read(os.path.join(cache(), "kernels", release, "boot", f"vmlinuz-{release}"))


def prepare(series):
    run_prepare(["--kernel", series, "--plain"] if series else ["--tools"], sys.stderr)


def run_prepare(options, stdout):
    # In a group of its own: a signal for us is handed on to all of it, since the shell would wait for what it has just started.
    child = subprocess.Popen(
        [os.path.join(LAB, "prepare"), *options], stdin=subprocess.DEVNULL, stdout=stdout, text=True, start_new_session=True
    )
    try:
        output, _ = child.communicate()
    except BaseException:
        os.killpg(child.pid, signal.SIGTERM)
        child.wait()
        raise
    if child.returncode != 0:
        raise Cannot("could not prepare; see above")
    return output


@dataclasses.dataclass
class BuiltModule:
    """A module that lab/prepare built for a kernel: no index of that kernel names it."""

    path: str
    arguments: str = dataclasses.field(default="", kw_only=True)

    def name(self):
        return os.path.basename(self.path).removesuffix(".ko")

    def parameters(self):
        return self.arguments

    def needs(self):
        """The modules that it is linked to."""
        search = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        command = [shutil.which("modinfo", path=search), "-F", "depends", self.path]
        answer = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
        return [name for name in answer.strip().split(",") if name]


@dataclasses.dataclass
class OwnModule(BuiltModule):
    """A module of the lab's own, with the kinds that it is to make a device of each."""

    family: str
    kinds: list[str]

    def parameters(self):
        return f"kinds={','.join(self.kinds)}"

    def drivers(self):
        """The names of the drivers of its devices: persona-KIND of lab/personas, and liar-KIND of lab/liars."""
        return [f"{self.family.removesuffix('s')}-{kind}" for kind in self.kinds]


def own_modules(name, wanted):
    """The modules for kinds: of each family that is in `wanted` a list of these, or ["all"]."""
    if not is_of_a_series(name):
        raise Cannot("the lab's own modules are built for a series such as 6.12, not for a kernel of your own")
    folder = run_prepare(["--kernel", name, "--modules"], subprocess.PIPE).strip()
    with open(os.path.join(folder, "kinds"), encoding="utf-8") as file:
        known = [line.split() for line in file]
    with open(os.path.join(folder, "missing"), encoding="utf-8") as file:
        missing = [line.rstrip("\n").split(" ", 1) for line in file]
    modules = {}
    for family, kinds in wanted.items():
        # modinfo tells them from the last to the first.
        files = {kind: file for of, file, kind in reversed(known) if of == family}
        reasons = "; ".join(reason for of, reason in missing if of == family)
        if not files:
            raise Cannot(f"there is no module of lab/{family} for this kernel: {reasons or 'its folder is empty'}")
        for kind in list(files) if kinds == ["all"] else kinds:
            if kind not in files:
                known_ones = reasons or f"there are {', '.join(sorted(files))}"
                raise Cannot(f"--{family} knows no kind {kind}: {known_ones}")
            module = modules.setdefault(files[kind], OwnModule(os.path.join(folder, files[kind]), family, []))
            if kind not in module.kinds:
                module.kinds.append(kind)
    return list(modules.values())


def image_in(path):
    """The kernel image in a folder: of a build tree, or of an unpacked kernel package."""
    if not os.path.isdir(path):
        return path
    built = os.path.join(path, "arch", "x86", "boot", "bzImage")
    if os.path.exists(built):
        return os.path.realpath(built)
    boot = os.path.join(path, "boot")
    images = [entry for entry in os.listdir(boot) if entry.startswith("vmlinuz-")] if os.path.isdir(boot) else []
    if len(images) == 1:
        return os.path.join(boot, images[0])
    raise Cannot(f"{path} holds no kernel: looked for arch/x86/boot/bzImage and for one boot/vmlinuz-*")


def read(path):
    release = release_of(path)
    return Kernel(path, release, modules_base(path, release))


def release_of(path):
    """The release as the boot header of a bzImage gives it (Documentation/arch/x86/boot.rst: kernel_version at 0x20e)."""
    try:
        with open(path, "rb") as file:
            head = file.read(0x10000)
    except OSError as error:
        raise Cannot(f"cannot read the kernel {path}: {error.strerror}") from error
    if head[0x202:0x206] != b"HdrS":
        raise Cannot(f"{path} is not an x86 kernel image (bzImage or vmlinuz)")
    start = int.from_bytes(head[0x20E:0x210], "little") + 0x200
    return head[start : head.index(b"\0", start)].split(b" ")[0].decode("ascii", "replace")


def modules_base(path, release):
    """The nearest folder above the image with modules for it, as virtme-ng looks for them."""
    folder = os.path.dirname(path)
    while True:
        if os.path.isdir(os.path.join(folder, "lib", "modules", release)):
            return folder
        if folder == "/":
            return None
        folder = os.path.dirname(folder)
