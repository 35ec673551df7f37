"""``python -m sparktrials``: the command line, where the command itself is not on the path."""

from __future__ import annotations

from sparktrials.console import main

if __name__ == "__main__":
    main()
