"""What held and what did not, as TAP."""


class Results:
    """For people as it comes, or only what does not hold, and as TAP at the end, where there is a path."""

    def __init__(self, path, only_failures=False):
        self.path, self.only_failures = path, only_failures
        self.points = []

    def add(self, good, text):
        self.points.append((good, text))
        if self.only_failures:
            if not good:
                print(text)
        else:
            print(f"{'ok    ' if good else 'FAILED'}  {text}", flush=True)

    @property
    def failed(self):
        return sum(not good for good, _ in self.points)

    def write(self):
        """The plan comes last: a run that was killed has none, and counts as one that did not end."""
        if self.path is None:
            return
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("TAP version 14\n")
            for number, (good, text) in enumerate(self.points, 1):
                # Behind a number sign TAP expects a directive.
                line = " ".join(text.split()).replace("#", "no. ")
                file.write(f"{'ok' if good else 'not ok'} {number} - {line}\n")
            file.write(f"1..{len(self.points)}\n")
