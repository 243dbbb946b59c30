"""Finds in the kernel's log what should fail a run."""

import os
import re

from kernel import LAB

END = b"lab: end of the kernel log"
DUMP = "lab: what each process waits for"
END_OF_DUMP = b"lab: end of what each process waits for"
# How a trace begins that follows such a line, and how it ends: warn_slowpath_fmt(), dump_stack().
TRACES = [("WARNING:", "---[ end trace"), ("schedule_timeout:", "</TASK>")]
CONTEXT, MOST = 16, 80
COMPLAINT = re.compile(
    r"WARNING:|\bBUG:|\bBUG\b.*\bat\b|\bOops\b|Kernel panic|general protection fault|unable to handle|Call Trace:"
    r"|possible (circular|recursive) locking|lock held|suspicious RCU|INFO: (task|rcu|possible|inconsistent|lockdep)"
    r"|(soft|hard) lockup|rcu.*stall|KASAN|KCSAN|KFENCE|UBSAN|kmemleak|unreferenced object|refcount_t:|DMA-API:"
    r"|(list_add|list_del) corruption|Memory manager not clean|\bleak(ed|s|ing)?\b|scheduling while atomic|Bad page (state|map)"
)


def allowed():
    patterns = []
    with open(os.path.join(LAB, "kernel-log-allowed"), encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                patterns.append(re.compile(line.rstrip("\n")))
    return patterns


class Log:
    """The guest's console: the kernel's log, and what the guest's scripts, virtme-ng and QEMU had to say."""

    def __init__(self):
        self.data = bytearray()
        self.ended = False

    def feed(self, data):
        # The mark may come in two pieces.
        start = max(0, len(self.data) - len(END))
        self.data += data
        self.ended = self.ended or self.data.find(END, start) >= 0

    @property
    def dumped(self):
        return END_OF_DUMP in self.data

    def lines(self):
        return [line.rstrip() for line in self.data.decode("utf-8", "replace").splitlines() if line.strip()]

    def lost_patching_race(self):
        """Whether the kernel died of the breakpoint that it puts where it is changing its own code.

        A real processor sees the breakpoint or the handler that expects it. QEMU's emulation of several processors can run a
        stale breakpoint after the handler is gone, most often while the kernel boots on a busy machine. Nothing that is
        tested here has run by then.
        """
        return b"Oops: int3:" in self.data

    def complaints(self):
        """The lines that complain, each with what follows it: the trace says more than the headline."""
        lines, harmless = self.lines(), allowed()
        if DUMP in lines:
            lines = lines[: lines.index(DUMP)]
        wanted = set()
        forgiven = None
        for number, line in enumerate(lines):
            is_harmless = any(pattern.search(line) for pattern in harmless)
            if COMPLAINT.search(line) and not forgiven and not is_harmless:
                wanted.update(range(number, min(number + 1 + CONTEXT, len(lines))))
            # A line that is allowed takes its own trace with it: a warning's, or that of dump_stack().
            if is_harmless:
                forgiven = forgiven or next((end for start, end in TRACES if start in line), None)
            if forgiven and forgiven in line:
                forgiven = None
        end = END.decode()
        return [lines[number] for number in sorted(wanted) if end not in lines[number]][:MOST]
