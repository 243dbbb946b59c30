"""The lab's machine while a script runs in it, seen from outside: what its display devices show is QEMU's word."""

import json
import os
import socket
import subprocess
import time

from pictures import Failure, different, read_ppm

HERE = os.path.dirname(os.path.realpath(__file__))

MEET = r"""
meet() {
  : >"$1.reached"
  n=0
  while [ ! -e "$1.seen" ]; do
    n=$((n + 1)); [ $n -lt 1200 ] || exit 98
    sleep 0.05
  done
}
"""


class Machine:
    """The lab with a script in the guest, and the line to its QEMU; `limit` seconds are for a hang, not for slowness.

    The script says that it has come to a point by making NAME.reached, and waits there for NAME.seen.
    """

    def __init__(self, folder, script, limit, *options):
        self.folder, self.limit = folder, limit
        self.deadline = time.monotonic() + limit
        path = self.path("guest.sh")
        with open(path, "w", encoding="utf-8") as file:
            file.write('cd "$PRIME_LAB_RESULTS" || exit 99\n' + MEET + script)
        self.log = open(os.path.join(folder, "lab.log"), "wb")
        command = [os.path.join(HERE, "..", "lab", "run"), "--qmp", self.path("qmp"), "--timeout", str(limit), *options]
        self.lab = subprocess.Popen(
            command + ["--results", folder, "--", "sh", path], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        self.line = None

    def path(self, name):
        return os.path.join(self.folder, name)

    def text(self, name):
        try:
            with open(self.path(name), encoding="utf-8", errors="replace") as file:
                return file.read().strip()
        except FileNotFoundError:
            return ""

    def await_guest(self, name):
        while not os.path.exists(self.path(name + ".reached")):
            if self.lab.poll() is not None:
                raise Failure(f"the lab ended with {self.lab.returncode} before {name}: {self.text('lab.log')[-2000:]}")
            if time.monotonic() > self.deadline:
                raise Failure(f"{name} did not come within {self.limit} s")
            time.sleep(0.02)

    def release(self, name):
        with open(self.path(name + ".seen"), "wb"):
            pass

    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(30)
        connection.connect(self.path("qmp"))
        self.line = connection.makefile("rwb")
        self.line.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        self.line.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        self.line.flush()
        while True:
            answer = json.loads(self.line.readline())
            if "error" in answer:
                raise Failure(f"QEMU refuses {command}: {answer['error']['desc']}")
            if "return" in answer:
                return

    def screen(self, device):
        if self.line is None:
            self.connect()
        path = self.path("screen.ppm")
        self.ask("screendump", filename=path, device=device)
        return read_ppm(path)

    def differing(self, device, expected):
        """How many pixels of a screen differ, as soon as none do, or after a while.

        virtio-gpu and qxl draw a moment after the guest was told that they did.
        """
        limit = time.monotonic() + 20
        while True:
            screen = self.screen(device)
            count = different(screen, expected)
            if count == 0 or time.monotonic() > limit:
                return count, screen
            time.sleep(0.1)

    def finish(self):
        try:
            return self.lab.wait(timeout=max(1, self.deadline - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise Failure("the guest does not end") from error

    def close(self):
        if self.lab.poll() is None:
            self.lab.terminate()
            self.lab.wait(timeout=30)
        self.log.close()
