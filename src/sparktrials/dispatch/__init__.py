"""Where trials run: this process, Spark executors; and what runs there.

``evaluation`` and ``worker`` run on executors too: they import numpy and the standard library only.
"""
