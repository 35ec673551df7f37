"""Small programs, mostly misuse: each ends in an exception or leaves a `result`.

They stand in ``texts/*.txt``, each under its name, and run in the names of probe.py and in those
of `PRELUDE`. A `result` must not depend on what was drawn.
"""

from __future__ import annotations

import re
from pathlib import Path

PRELUDE = """
trials = Trials()
calls = []

def shows(fn, **more):
    space = more.pop('space', hp.uniform('x', 0, 1))
    run(fn, space, trials=trials, **more)
    return [trials.statuses(), [type(x).__name__ for x in trials.losses()], len(trials)]

def fails(x):
    calls.append(x)
    if len(calls) == 2:
        raise KeyError('second')
    return x

def doc(tid=0, **more):
    return {'state': 0, 'tid': tid, 'spec': None, 'result': {'status': 'new'},
            'misc': {'tid': tid, 'cmd': ('domain_attachment', 'FMinIter_Domain'), 'workdir': None,
                     'idxs': {'x': [tid]}, 'vals': {'x': [0.5]}},
            'exp_key': None, 'owner': None, 'version': 0, 'book_time': None,
            'refresh_time': None, **more}

def done(tid, loss, **more):
    return doc(tid, state=2, result={'status': 'ok', 'loss': loss}, **more)
"""


def _read(path: Path) -> dict[str, str]:
    parts = re.split(r"^### (\S+)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert not parts[0].strip(), path
    return {
        f"{path.stem}/{name}": text for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


#: ``area/name`` -> text.
SNIPPETS = {
    name: text
    for path in sorted((Path(__file__).parent / "texts").glob("*.txt"))
    for name, text in _read(path).items()
}
