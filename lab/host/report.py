"""What the lab says about itself, on stderr, and its exit codes."""

import sys
import time

USAGE = 64
CANNOT = 120
KERNEL_COMPLAINED = 121
DEADLINE = 124


class Cannot(Exception):
    """The lab cannot do what it was asked; the text says why, and what to do about it."""


class Report:
    def __init__(self, verbose):
        self.every = 5 if verbose or sys.stderr.isatty() else 15
        self.verbose = verbose
        self.restart()

    def restart(self):
        self.start = self.last = time.monotonic()

    def say(self, text):
        print(f"lab: {text}", file=sys.stderr, flush=True)
        self.last = time.monotonic()

    def detail(self, text):
        if self.verbose:
            self.say(f"{self.seconds():.1f} s: {text}")

    def seconds(self):
        return time.monotonic() - self.start

    def waiting(self, text):
        """Says what is waited for, if nothing was said for a while."""
        if time.monotonic() - self.last >= self.every:
            self.say(f"waiting for {text} ({self.seconds():.0f} s)")
