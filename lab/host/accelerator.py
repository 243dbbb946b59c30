"""Whether hardware virtualisation works here: that /dev/kvm exists says little."""

import os
import re
import shutil
import subprocess


def kvm_works(kernel, report):
    wanted = os.environ.get("PRIME_LAB_ACCEL", "auto")
    if wanted == "tcg" or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    if wanted != "kvm" and not processor_can():
        return False
    works = probe(kernel)
    report.detail("KVM works" if works else "KVM does not work here, QEMU emulates the processor")
    return works


def processor_can():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return re.search(r"\b(vmx|svm)\b", file.read()) is not None
    except OSError:
        return False


def probe(kernel):
    """Boots the kernel with nothing to run: it panics for want of a root file system, and panic=-1 ends QEMU."""
    qemu = shutil.which("qemu-system-x86_64")
    if qemu is None:
        return False
    command = [qemu, "-accel", "kvm", "-machine", "q35", "-cpu", "host", "-m", "512", "-nodefaults", "-display", "none"]
    command += ["-no-reboot", "-kernel", kernel, "-append", "panic=-1 quiet"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20, check=False)
    except (subprocess.TimeoutExpired, OSError):
        return False
    return done.returncode == 0
