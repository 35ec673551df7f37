"""`show_progressbar` with a context manager of one's own, and the ones that are there."""

import contextlib
import io
import math

import numpy as np
from hyperopt import Trials, fmin, hp, rand
from hyperopt.progress import default_callback, no_progress_callback, tqdm_progress_callback

events = []


@contextlib.contextmanager
def my_progress(initial, total):
    class Reporter:
        postfix = ""

        def update(self, n):
            events.append(("update", n))

    events.append(("start", initial, total))
    reporter = Reporter()
    yield reporter
    events.append(("end", reporter.postfix))


trials = Trials()
common = {"algo": rand.suggest, "trials": trials, "rstate": np.random.default_rng(0)}
fmin(lambda x: x**2, hp.uniform("x", 1, 2), max_evals=10, show_progressbar=my_progress, **common)
assert events[0] == ("start", 0, 10)
assert sum(event[1] for event in events if event[0] == "update") == 10
assert events[-1][0] == "end"
shown = float(events[-1][1].removeprefix("best loss: "))
assert math.isclose(shown, min(trials.losses()), rel_tol=1e-4)

# A resumed run starts where the first one ended.
events.clear()
fmin(lambda x: x**2, hp.uniform("x", 1, 2), max_evals=15, show_progressbar=my_progress, **common)
assert events[0] == ("start", 10, 15)
assert sum(event[1] for event in events if event[0] == "update") == 5

# verbose=False silences it.
events.clear()
fmin(
    lambda x: x**2,
    hp.uniform("x", 1, 2),
    max_evals=17,
    show_progressbar=my_progress,
    verbose=False,
    **common,
)
assert not events

out = io.StringIO()
with contextlib.redirect_stderr(out), contextlib.redirect_stdout(out):
    for callback in (tqdm_progress_callback, no_progress_callback, default_callback, True):
        n = len(trials) + 2
        fmin(abs, hp.uniform("x", 1, 2), max_evals=n, show_progressbar=callback, **common)
    with no_progress_callback(initial=0, total=3) as progress:
        progress.update(3)
assert "trial" in out.getvalue()
assert len(trials) == 25
print("OK")
