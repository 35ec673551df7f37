from __future__ import annotations

import pickle
import subprocess

import numpy as np
import pytest

from sparktrials.compat.arrays import array_of
from sparktrials.errors import InvalidArgument


@pytest.mark.parametrize(
    "value",
    [np.arange(5.0), np.eye(3, order="F"), [1, 2.5], (3, 4), 7, np.float32(1.5), [np.int64(3)], []],
    ids=repr,
)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_numbers(value, protocol):
    got = array_of(pickle.dumps(value, protocol), "it")
    assert np.array_equal(got, np.asarray(value))


def test_what_the_other_numpy_wrote():
    content = pickle.dumps(np.arange(3), 2)
    other = content.replace(b"numpy._core", b"numpy.core") if b"_core" in content else content
    assert array_of(other, "it").tolist() == [0, 1, 2]


class Evil:
    def __reduce__(self):
        return subprocess.check_call, (["touch", "evil"],)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(Evil()),
        pickle.dumps([Evil()]),
        pickle.dumps(np.array([Evil()], dtype=object)),
        pickle.dumps("text"),
        pickle.dumps({"a": 1}),
        b"cos\nsystem\n(S'touch evil'\ntR.",
        b"cnumpy\nload\n.",
        b"nonsense",
        b"",
    ],
)
def test_nothing_else_is_made_of_a_pickle(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidArgument, match="the attachment"):
        array_of(content, "the attachment")
    assert not list(tmp_path.iterdir())
