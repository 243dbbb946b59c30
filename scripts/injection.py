"""Programs that are disturbed from outside: how they are started and watched, what they leave, and what is wrong with their ends."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

# Stops the process once the loader is done, or its WANTED-th fork at birth: strace counts a system call in each thread on its own,
# so only what is attached to one process at a known place can fault the worker and leave its parent alone.
STOPPER = r"""
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *tell;
static int wanted, forks;

static void stop(void) {
  int file = open(tell, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  dprintf(file, "%d\n", getpid());
  close(file);
  raise(SIGSTOP);
}

static void before_fork(void) { forks++; }

static void in_child(void) {
  if (forks == wanted)
    stop();
  wanted = -1;
}

__attribute__((constructor)) static void begin(void) {
  tell = getenv("STOPPER_TELLS");
  wanted = atoi(getenv("STOPPER_WANTED"));
  unsetenv("LD_PRELOAD");
  if (wanted == 0)
    stop();
  else
    pthread_atfork(before_fork, NULL, in_child);
}
"""
# A crash, also that of a worker, of which its parent tells.
TRAPPED = re.compile(r"Fatal error|Illegal instruction|Segmentation fault|died of SIG(?:ILL|TRAP|SEGV|BUS|ABRT|FPE)|Crash: |💣")
HUNG = re.compile(r"did not return within|does not react|is left behind|does not return; ending")
CRASHES = {-number for number in (signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGSEGV, signal.SIGFPE)}
# The table of exit codes in docs/diff-and-reports.md.
ALLOWED = {0, 1, 64, 74, 77, 130, 143}
# What is worst comes first, and is what a run is counted as.
BAD = ["trap", "hang", "display", "leak", "hides", "code", "silent"]


@dataclass
class End:
    """What came of one run."""

    code: int | None  # None where it did not end
    out: str
    err: str
    left: dict = field(default_factory=dict)  # what differs from before
    reached: bool = True
    log: str = ""
    partner_code: int | None = 0
    partner_said: str = ""
    seconds: float = 0

    @property
    def said(self):
        return self.out + self.err


class Scene:
    """Where programs run, and what they must leave as it was."""

    def __init__(self, root="/"):
        self.root = root  # of /sys, for a machine that is made up
        self.work = tempfile.mkdtemp(prefix="prime-injection.")
        self.stopper = os.path.join(self.work, "stopper.so")
        self.mark = "PRIME_INJECTION=" + self.work
        self.number = 0
        self.patience = 3  # seconds that may pass until all is as it was

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.work, ignore_errors=True)

    def build(self):
        source = self.stopper[:-2] + "c"
        with open(source, "w", encoding="utf-8") as file:
            file.write(STOPPER)
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", self.stopper, source], check=True)

    def text(self, path):
        try:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def state(self, folder):
        """All that a run may leave behind or leave changed."""
        # What a display shows, without counters: which planes, with which framebuffer, and whether the CRTC is on.
        shows = re.findall(r"^(?:plane|crtc).*|^\t(?:crtc|fb|enable|active|plane_mask)=.*", self.text("sys/kernel/debug/dri/vkms/state"), re.M)
        instances = os.path.join(self.root, "sys/kernel/tracing/instances")
        return {
            "processes": self.processes(),
            "dma-bufs": re.findall(r"Total (\d+) objects", self.text("sys/kernel/debug/dma_buf/bufinfo")),
            "files": sorted(os.listdir(folder)),
            "drm.debug": self.text("sys/module/drm/parameters/debug").strip(),
            "trace instances": sorted(os.listdir(instances)) if os.path.isdir(instances) else [],
            "display": re.sub(r"fb=[1-9]\d*", "fb=some", "\n".join(shows)),
        }

    def processes(self):
        """What was started from here and still runs, by number: a mark in the environment goes on to all that a program starts."""
        found = {}
        for number in filter(str.isdigit, os.listdir("/proc")):
            if self.mark in read(f"/proc/{number}/environ").split("\0"):
                found[int(number)] = read(f"/proc/{number}/comm").strip()
        return found

    def run(self, words, limit, partner=(), attach=None, meanwhile=None):
        """Runs a program, and another that it works with.

        attach is the process to stop (0 the first, N its Nth fork) and the options of the strace that goes on with it.
        meanwhile is called with the started process before its end is waited for.
        """
        self.number += 1
        base = os.path.join(self.work, f"{self.number}")
        folder = base + ".d"
        os.mkdir(folder)
        before = self.state(folder)
        end = End(None, "", "")
        with open(base + ".out", "wb") as out, open(base + ".err", "wb") as err, open(base + ".partner", "wb") as said:
            start = time.monotonic()
            marked = os.environ | dict([self.mark.split("=", 1)])
            other = partner and subprocess.Popen(partner, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=marked, process_group=0)
            more = {"LD_PRELOAD": self.stopper, "STOPPER_TELLS": base + ".stopped", "STOPPER_WANTED": str(attach[0])} if attach else {}
            # A group in this session: the kernel's SIGTSTP stops none that is orphaned.
            program = subprocess.Popen(words, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=marked | more, process_group=0)
            tracer = None
            if attach:
                tracer = self.attach(program, base, attach[1], limit)
                end.reached = tracer is not None
            if meanwhile:
                meanwhile(program)
            end.code = wait(program, start + limit)
            if other:
                # Where nobody came, it would wait for its own deadline.
                if end.code and wait(other, time.monotonic() + 1) is None:
                    other.terminate()
                end.partner_code = wait(other, start + limit)
            end.seconds = round(time.monotonic() - start, 2)
            self.settle(end, folder, before, [p for p in (program, other, tracer) if p])
        end.out, end.err, end.log, end.partner_said = (read(base + name) for name in (".out", ".err", ".log", ".partner"))
        for name in (".out", ".err", ".log", ".partner", ".stopped"):
            if os.path.exists(base + name):
                os.unlink(base + name)
        shutil.rmtree(folder, ignore_errors=True)
        return end

    def attach(self, program, base, options, limit):
        """Has strace go on with the process that stopped; None where none did."""
        told = base + ".stopped"
        deadline = time.monotonic() + limit
        while not read(told).endswith("\n"):
            if program.poll() is not None or time.monotonic() > deadline:
                return None
            time.sleep(0.005)
        number = int(read(told))
        while " T " not in read(f"/proc/{number}/stat"):
            time.sleep(0.002)
        tracer = subprocess.Popen(
            ["strace", "-o", base + ".log", *options, "-p", str(number)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )
        # "Process N attached": from now on no call is missed.
        tracer.stderr.readline()
        os.kill(number, signal.SIGCONT)
        return tracer

    def settle(self, end, folder, before, started):
        """Gives what the kernel puts back and frees the time for it, notes what is left then, and ends what was started."""
        running = {process.pid for process in started}
        deadline = time.monotonic() + self.patience
        while True:
            after = self.state(folder)
            new = {number: name for number, name in after["processes"].items() if number not in running}
            end.left = {key: after[key] for key in after if key != "processes" and after[key] != before[key]}
            if new:
                end.left["processes"] = sorted(new.values())
            if not end.left or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        # Nothing else is ended: outside of the lab, where --prove runs, others start programs as well.
        for number in [*new, *(process.pid for process in started if process.poll() is None)]:
            try:
                os.kill(number, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for process in started:
            process.wait()
            if process.stderr:
                process.stderr.close()
        if end.left.get("drm.debug"):
            with open(os.path.join(self.root, "sys/module/drm/parameters/debug"), "w", encoding="utf-8") as file:
                file.write(before["drm.debug"])


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def wait(program, deadline):
    try:
        return program.wait(max(0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None


def sentences(value, found=None):
    """Every string of a JSON value that has three words or more."""
    found = set() if found is None else found
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]:
        if isinstance(part, (dict, list)):
            sentences(part, found)
        elif isinstance(part, str) and len(part.split()) > 2:
            found.add(part)
    return found


def parsed(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


def faults_of(end, allowed=frozenset(ALLOWED)):
    """What is wrong with an end whatever the program was disturbed with."""
    wrong = set()
    for code, said in ((end.code, end.said), (end.partner_code, end.partner_said)):
        if code in CRASHES or code in range(132, 140) or TRAPPED.search(said):
            wrong.add("trap")
        if code is None or HUNG.search(said):
            wrong.add("hang")
    if end.code is not None and "trap" not in wrong and end.code not in allowed:
        wrong.add("code")
    # What has not ended is not yet done with what it holds.
    if end.code is not None:
        wrong |= {"display" if key == "display" else "leak" for key in end.left}
    return wrong


def table(counts, columns):
    """Counts by row and column, as text."""
    rows = [["", *columns, "runs"]]
    for name in [*counts, "all"]:
        row = counts.get(name) or {c: sum(r.get(c, 0) for r in counts.values()) for c in columns}
        rows.append([name, *(str(row.get(c, 0)) for c in columns), str(sum(row.values()))])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))) for row in rows)
