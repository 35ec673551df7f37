"""``hyperopt.std_out_err_redirect_tqdm``: what a program prints goes above its progress bar."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import IO, Any

__all__ = ["DummyTqdmFile", "std_out_err_redirect_tqdm"]


class DummyTqdmFile:
    """A text stream whose lines are written above the progress bars.

    Hyperopt's writes each piece that ``print`` hands it on a line of its own, and drops empty ones.
    This one waits for the end of the line.

    Parameters
    ----------
    file
        The stream beneath. What this one does not have itself, it takes from there.
    """

    def __init__(self, file: IO[str]) -> None:
        self.file = file
        self._unfinished = ""

    def write(self, x: str) -> int:
        """Write the lines that are complete, and keep the rest until they are."""
        lines, newline, rest = (self._unfinished + x).rpartition("\n")
        self._unfinished = rest
        if newline:
            from tqdm import tqdm  # noqa: PLC0415 - not at import

            tqdm.write(lines, file=self.file)
        return len(x)

    def writelines(self, lines: Iterator[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the stream beneath; a line that is not complete stays here."""
        self.file.flush()

    def close(self) -> None:
        """Write what is left. The stream beneath stays open: it is not this one's."""
        rest, self._unfinished = self._unfinished, ""
        if rest:
            from tqdm import tqdm  # noqa: PLC0415 - not at import

            tqdm.write(rest, file=self.file, end="")
        self.file.flush()

    def isatty(self) -> bool:
        """Whether the stream beneath is a terminal."""
        return self.file.isatty()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream beneath has
        if name == "file":  # while unpickling
            raise AttributeError(name)
        return getattr(self.file, name)


@contextlib.contextmanager
def std_out_err_redirect_tqdm() -> Iterator[IO[str]]:
    """Let what is printed appear above the progress bars; yield the original standard output."""
    out, err = sys.stdout, sys.stderr
    redirected = DummyTqdmFile(out), DummyTqdmFile(err)
    sys.stdout, sys.stderr = redirected
    try:
        yield out
    finally:
        sys.stdout, sys.stderr = out, err
        for stream in redirected:
            stream.close()
