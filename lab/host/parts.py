"""What single options add to the machine: V4L2 devices, bounce buffers, a GPU, a screen that is looked at from outside."""

import dataclasses
import os
import re
import subprocess

import kernel
from report import Cannot


@dataclasses.dataclass
class Parts:
    # What COMMAND is told, in $PRIME_LAB_WITH.
    names: list[str] = dataclasses.field(default_factory=list)
    # Of the kernel.
    kernel_arguments: list[str] = dataclasses.field(default_factory=list)
    modules: list[str] = dataclasses.field(default_factory=list)
    own_modules: list[kernel.BuiltModule] = dataclasses.field(default_factory=list)
    # Of QEMU: other models of the lab's devices, more options, its environment.
    devices: dict[str, str] = dataclasses.field(default_factory=dict)
    qemu_options: list[str] = dataclasses.field(default_factory=list)
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    # Of COMMAND.
    guest_environment: dict[str, str] = dataclasses.field(default_factory=dict)


def wanted(options, image):
    parts = Parts()
    if options.video:
        video(parts, options, image)
    if options.bounced:
        parts.names.append("bounced")
        # 256 MiB of 2 KiB slots: the usual 64 MiB are soon full.
        parts.kernel_arguments.append("swiotlb=131072,force")
    if options.gpu:
        gpu(parts)
    if options.outside:
        outside(parts, options.memory)
    if options.gbm:
        gbm(parts, options.gbm)
    return parts


# vim2m imitates slow hardware: each of its jobs takes 40 ms unless it is told otherwise.
QUICK = "default_transtime=1"


def video(parts, options, image):
    parts.names.append("video")
    # modprobe takes them for the module.
    parts.kernel_arguments.append("vivid.n_devs=1")
    if options.video == "contiguous":
        parts.names.append("contiguous")
        parts.kernel_arguments.append("vivid.allocators=1")
    parts.modules.append("vivid")
    if image.has_module("vim2m") or not kernel.is_of_a_series(options.kernel):
        parts.modules.append("vim2m")
        parts.kernel_arguments.append(f"vim2m.{QUICK}")
        return
    folder = part("video", "--kernel", options.kernel)
    parts.own_modules.append(kernel.BuiltModule(os.path.join(folder, "v4l2-mem2mem.ko")))
    parts.own_modules.append(kernel.BuiltModule(os.path.join(folder, "vim2m.ko"), arguments=QUICK))


def gpu(parts):
    parts.names.append("gpu")
    folder = part("gpu")
    parts.devices["virtio"] = "virtio-gpu-gl-pci"
    # No Mesa knows such a render node, so the one on this machine draws with the processor, whatever the machine has.
    parts.qemu_options += ["-display", "egl-headless,rendernode=/dev/null"]
    libraries = [for_the_linker(os.path.join(folder, "lib")), os.environ.get("LD_LIBRARY_PATH")]
    parts.environment = {
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "QEMU_MODULE_DIR": os.path.join(folder, "modules"),
        "LD_LIBRARY_PATH": ":".join(filter(None, libraries)),
    }


def outside(parts, memory):
    parts.names.append("outside")
    parts.devices["virtio"] = "virtio-gpu-pci,blob=on,xres=640,yres=400"
    # virtme-ng takes a number alone for MiB, and QEMU here for bytes.
    size = memory + "M" if memory.isdigit() else memory
    parts.qemu_options += ["-object", f"memory-backend-memfd,id=labmemory,size={size},share=on", "-machine", "memory-backend=labmemory"]
    if not os.access("/dev/udmabuf", os.R_OK | os.W_OK):
        preloaded = [for_the_linker(os.path.join(part("udmabuf"), "udmabuf.so")), os.environ.get("LD_PRELOAD")]
        parts.environment["LD_PRELOAD"] = ":".join(filter(None, preloaded))


def gbm_behaviours():
    """What the drivers of the fake libgbm can do, by the list in its source."""
    with open(os.path.join(kernel.LAB, "fake-gbm", "fake.h"), encoding="utf-8") as file:
        return re.findall(r'\bENTRY\(\w+, "(.+)"\)', file.read())


def gbm(parts, behaviour):
    parts.names.append("gbm")
    libraries = [for_the_linker(part("gbm")), os.environ.get("LD_LIBRARY_PATH")]
    parts.guest_environment = {"LD_LIBRARY_PATH": ":".join(filter(None, libraries)), "PRIME_GBM": behaviour}


def for_the_linker(path):
    """A path for a list of the dynamic linker's, which cannot quote what separates its entries."""
    if any(separator in path for separator in ":; "):
        raise Cannot(f"--gpu, --outside and --gbm need a cache whose path has no space, colon or semicolon: set PRIME_LAB_CACHE, now {kernel.cache()}")
    return path


def part(name, *options):
    return kernel.run_prepare([*options, f"--{name}"], subprocess.PIPE).strip()
