"""The command line, on real files."""

from __future__ import annotations

import csv
import json
import pickle
import sqlite3
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from tests.contract.store_suite import OK, RUNNING, experiment, trial
from typer.testing import CliRunner

from sparktrials import Trials, fmin, hp, rand
from sparktrials.api.records import read_records
from sparktrials.cli import app, run
from sparktrials.store import Spool, SQLiteStore, open_store
from sparktrials.store.records import encode_trial
from sparktrials.study.trial import TrialState

SECRET = "s3cr3t"


def told(*arguments, code=0, **more):
    done = CliRunner().invoke(app, [str(a) for a in arguments], **more)
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.output


def as_json(*arguments, **more):
    return json.loads(told(*arguments, "--json", **more))


@pytest.fixture
def url(tmp_path):
    """Return the URL of a store with two experiments."""
    url = f"sqlite:///{tmp_path}/h.db"
    with SQLiteStore(tmp_path / "h.db") as store:
        rows = [
            {"label": "x", "distribution": "uniform(0, 1)", "condition": ""},
            {"label": "c", "distribution": "choice(3)", "condition": "", "options": '["a","b",3]'},
        ]
        store.create(experiment("one", space=rows))
        store.append("one", [trial(n, OK) for n in range(4)])
        store.append("one", [trial(4, TrialState.FAILED)])
        store.append("one", [trial(5, OK, loss=-1.0)], {5: {"model": b"\0" * 3000, "=é": b""}})
        store.create(experiment("two"))
        store.append("two", [trial(0, OK, result={"note": "=1+1", "loss": 1.0})])
    return url


def test_ls(url):
    rows = as_json("ls", url)
    assert [(r["exp_key"], r["trials"], r["best_loss"]) for r in rows] == [
        ("one", 6, -1.0),
        ("two", 1, 1.0),
    ]
    assert rows[0]["states"] == {"ok": 5, "failed": 1}
    lines = told("ls", url).splitlines()
    assert lines[0].split()[:2] == ["experiment", "trials"]
    assert lines[1].split()[:2] == ["one", "6"]


def test_ls_has_a_column_for_each_state_there_is(url, tmp_path):
    assert " ok  failed  running  best loss " in told("ls", url)
    with SQLiteStore(tmp_path / "h.db") as store:
        store.append("two", [trial(n, TrialState.CANCELLED) for n in (1, 2)])
    header, _, two = told("ls", url).splitlines()
    assert header.split()[:6] == ["experiment", "trials", "ok", "failed", "running", "cancelled"]
    assert two.split()[:6] == ["two", "3", "1", "0", "0", "2"]


def test_one_long_name_does_not_widen_the_table(tmp_path):
    with SQLiteStore(tmp_path / "h.db") as store:
        store.create(experiment("k" * 3000))
    assert max(map(len, told("ls", f"sqlite:///{tmp_path}/h.db").splitlines())) < 160


def test_values_are_shown_for_people(tmp_path):
    result = {"loss": 1.0, "array": np.arange(6).reshape(2, 3), "pair": (1, 2)}
    with SQLiteStore(tmp_path / "h.db") as store:
        store.create(experiment("one"))
        store.append("one", [trial(0, OK, result=result)])
    text = told("best", f"sqlite:///{tmp_path}/h.db")
    assert "[[0 1 2] [3 4 5]]" in text
    assert "(1, 2)" in text
    assert as_json("best", f"sqlite:///{tmp_path}/h.db")["result"]["pair"] != [1, 2], "tagged"


def test_show(url):
    text = told("show", url, "--exp-key", "one", "--last", 2)
    assert "6 trials (1 failed, 5 ok)" in text
    assert "uniform(0, 1)" in text
    assert "E: m" in text
    assert "c=3" in text, "an option, not its index"
    shown = as_json("show", url, "--exp-key", "one", "--last", 1)
    assert [t["id"] for t in shown["last_trials"]] == [5]
    one = as_json("show", url, "--exp-key", "one", "--trial", 4)
    assert one["params"] == {"x": 4 / 7, "c": "b"}
    assert one["failure"] == ["raised", "E", "m", "t"]
    assert "E: m" in told("show", url, "--exp-key", "one", "--trial", 4)
    assert "no trial 9" in told("show", url, "--exp-key", "one", "--trial", 9, code=1)


def test_best(url):
    assert as_json("best", url, "--exp-key", "one")["id"] == 5
    assert "params c" in told("best", url, "--exp-key", "one")
    assert "name one with --exp-key: 'one', 'two'" in told("best", url, code=1)


def test_text_of_others_does_not_reach_the_terminal(tmp_path):
    with SQLiteStore(tmp_path / "h.db") as store:
        store.create(experiment("a\x1b[2Jb"))
    assert "\x1b" not in told("ls", f"sqlite:///{tmp_path}/h.db")


@pytest.mark.parametrize("command", ["ls", "show", "best", "export", "doctor"])
def test_a_name_that_is_wrong_makes_nothing(tmp_path, command):
    assert "not there" in told(command, f"sqlite:///{tmp_path}/other.db", code=1)
    assert "not there" in told("rm", f"sqlite:///{tmp_path}/other.db", "--all", "--yes", code=1)
    assert list(tmp_path.iterdir()) == []


def test_reading_writes_nothing(url, tmp_path):
    path = tmp_path / "h.db"
    before = path.read_bytes(), path.stat().st_mtime_ns
    for command in ("ls", "doctor"):
        told(command, url)
    told("show", url, "--exp-key", "one")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert [p.name for p in tmp_path.iterdir()] == ["h.db"]


def test_there_and_back(url, tmp_path):
    file, other = tmp_path / "e.jsonl", f"sqlite:///{tmp_path}/copy.db"
    assert "7 trials" in told("export", url, "-o", file)
    assert "7 trials" not in told("export", url), "to the terminal nothing else is said"
    assert "there already" in told("export", url, "-o", file, code=1)
    text = told("import", file, other)
    assert "6 trials" in text
    assert "5 with a loss" in text
    with open_store(url) as a, open_store(other) as b:
        assert a.experiments() == b.experiments()
        for key in ("one", "two"):
            assert [*map(encode_trial, a.read(key)[0])] == [*map(encode_trial, b.read(key)[0])]
        assert b.attachment("one", 5, "model") == b"\0" * 3000
        assert b.attachment("one", 5, "=é") == b""
    told("import", file, other)  # once more changes nothing
    with open_store(other) as b:
        b.append("two", [trial(1)])
    assert "2 trials already" in told("import", file, other, code=1)
    assert "names one experiment" in told("import", file, other, "--exp-key", "x", code=1)
    told("export", url, "-o", file, "--force", "--exp-key", "two")
    told("import", file, other, "--exp-key", "third")
    assert [r["exp_key"] for r in as_json("ls", other)] == ["one", "third", "two"]


def test_attachments_go_piece_by_piece(tmp_path):
    size = 24 << 20
    here, file, there = tmp_path / "h.db", tmp_path / "e.jsonl", tmp_path / "copy.db"
    with SQLiteStore(here) as store:
        store.create(experiment())
        store.append("default", [trial(n, OK) for n in range(2)])
        for number in range(2):
            with (tmp_path / "large").open("w+b") as large:
                large.truncate(size - number)
                store.attach("default", number, "model", large)
    told("ls", f"sqlite:///{here}")  # imports what commands import
    tracemalloc.start()
    told("export", f"sqlite:///{here}", "-o", file)
    told("import", file, f"sqlite:///{there}")
    told("doctor", f"sqlite:///{there}")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < size // 2
    with SQLiteStore(there) as copy:
        assert copy.attachment("default", 1, "model") == bytes(size - 1)


def test_an_attachment_that_is_replaced_while_it_is_exported(url, tmp_path, monkeypatch):
    with open_store(url) as store:
        store.attach("one", 5, "model", bytes(3_000_000))
        whole = SQLiteStore.open_attachment

        def replaced(self, key, trial_id, name):
            stream = whole(self, key, trial_id, name)
            monkeypatch.setattr(SQLiteStore, "open_attachment", whole)
            store.attach(key, trial_id, name, bytes(3_000_001))
            return stream

        monkeypatch.setattr(SQLiteStore, "open_attachment", replaced)
        assert "damaged" in told("export", url, "-o", tmp_path / "e.jsonl", code=1)
    assert not (tmp_path / "e.jsonl").exists()


def test_an_attachment_that_is_missing_is_told(url, tmp_path):
    with sqlite3.connect(tmp_path / "h.db") as db:
        db.execute("DELETE FROM attachment WHERE name = 'model'")
    db.close()
    shown = told("export", url, "-o", tmp_path / "e.jsonl", code=1)
    assert "'model' of trial 5 of 'one'" in shown
    assert "is missing" in shown


def test_a_file_is_read_as_often_whatever_it_holds(url, tmp_path, monkeypatch):
    file, other = tmp_path / "e.jsonl", f"sqlite:///{tmp_path}/copy.db"
    with open_store(url) as store:
        for number in range(5):
            store.create(experiment(f"more {number}"))
            store.append(f"more {number}", [trial(0, OK)])
    told("export", url, "-o", file)
    n_reads = []

    def counted(*given, **more):
        n_reads.append(more)
        return read_records(*given, **more)

    monkeypatch.setattr("sparktrials.api.importing.read_records", counted)
    told("import", file, other)
    assert len(n_reads) == 2
    told("import", file, other)
    assert len(n_reads) == 5, "and once more to compare with what is there"


def test_files_that_were_put_together(url, tmp_path):
    """Of two exports with the same experiment, one would be lost."""
    file, other = tmp_path / "e.jsonl", f"sqlite:///{tmp_path}/copy.db"
    told("export", url, "-o", file)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines * 2))
    shown = told("import", file, other, code=1)
    assert "'one' is there twice" in shown
    assert f"line {len(lines) + 1}" in shown
    begin, first, *rest = lines
    file.write_text("".join([begin, first, first, *rest]))
    assert "trial 0 comes after trial 0" in told("import", file, other, code=1)
    assert not (tmp_path / "copy.db").exists()


def test_a_file_without_line_ends_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("sparktrials.api.records._LONGEST_LINE", 1000)
    file = tmp_path / "e.jsonl"
    file.write_text('{"sparktrials":' + " " * 10_000)
    assert "a line of more than 1,000" in told("import", file, f"sqlite:///{tmp_path}/h.db", code=1)


def test_tables(url, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    text = told("export", url, "--format", "csv", "--exp-key", "one")
    rows = list(csv.DictReader(text.splitlines()))
    assert [r["params_c"] for r in rows] == ["a", "b", "3", "a", "b", "3"]
    assert rows[4]["loss"] == ""
    assert rows[4]["error_type"] == "E"
    guarded = told("export", url, "--format", "csv", "--exp-key", "two")
    assert next(csv.DictReader(guarded.splitlines()))["result_note"] == "'=1+1"
    told("export", url, "--exp-key", "one", "-o", tmp_path / "t.parquet")
    table = pq.read_table(tmp_path / "t.parquet")
    assert table["params_c"].to_pylist() == ["a", "b", "3", "a", "b", "3"]
    assert "name a file" in told("export", url, "--exp-key", "one", "--format", "parquet", code=1)
    assert "no export" in told("import", tmp_path / "t.parquet", url, code=1)


def test_rm(url):
    assert "say which" in told("rm", url, code=1)
    told("rm", url, "--exp-key", "one", input="n\n", code=1)
    assert len(as_json("ls", url)) == 2
    assert "6 trials" in told("rm", url, "--exp-key", "one", input="y\n")
    assert [r["exp_key"] for r in as_json("ls", url)] == ["two"]
    told("rm", url, "--all", "--yes")
    assert as_json("ls", url) == []


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("touched"),)


def test_pickles_only_if_trusted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("evil.pkl").write_bytes(pickle.dumps(Evil()))
    assert "--trust-pickle" in told("import", "evil.pkl", "sqlite:///h.db", code=1)
    assert not Path("touched").exists()
    assert not Path("h.db").exists()
    trials = Trials()
    fmin(lambda x: x, hp.uniform("x", 0, 1), rand.suggest, 3, trials=trials, verbose=False)
    Path("good.pkl").write_bytes(pickle.dumps(trials))
    assert "3 trials" in told("import", "good.pkl", "sqlite:///h.db", "--trust-pickle")


def test_an_export_cut_at_any_byte_is_refused_whole(url, tmp_path):
    file, cut = tmp_path / "e.jsonl", tmp_path / "cut.jsonl"
    told("export", url, "-o", file, "--exp-key", "two")
    content = file.read_bytes()
    for end in range(0, len(content) - 1, 23):
        cut.write_bytes(content[:end])
        told("import", cut, f"sqlite:///{tmp_path}/copy.db", code=1)
        assert not (tmp_path / "copy.db").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[:1] + lines[2:],
        lambda lines: [*lines, lines[1]],
        lambda lines: [lines[0], *lines],
        lambda lines: [line.replace('"trials":6', '"trials":5') for line in lines],
        lambda lines: [line for line in lines if "piece" not in line],
        lambda lines: [line.replace('"piece":"AA', '"piece":"AB') for line in lines],
        lambda lines: [line.replace('"sparktrials":1', '"sparktrials":2') for line in lines],
        lambda lines: [lines[0], '{"trial":{"v":1}}', *lines[1:]],
        lambda lines: [lines[0], "[]", *lines[1:]],
    ],
)
def test_hostile_exports(url, tmp_path, change):
    file = tmp_path / "e.jsonl"
    lines = told("export", url, "--exp-key", "one").splitlines()
    file.write_text("\n".join(change(lines)) + "\n")
    told("import", file, f"sqlite:///{tmp_path}/copy.db", code=1)


# ---------------------------------------------------------------------- doctor


def test_doctor_of_a_healthy_store(url):
    found = as_json("doctor", url)
    assert found["healthy"]
    assert "nothing is wrong" in told("doctor", url)


def wrong(url):
    found = json.loads(told("doctor", url, "--json", code=1))
    return " | ".join(f["what"] for f in found["findings"] if f["remedy"])


def test_doctor_finds(url, tmp_path):
    with SQLiteStore(tmp_path / "h.db") as store:
        store.append("two", [trial(1), trial(3)])
    assert "1 ids are missing: 2" in wrong(url)
    assert "2 trials are running, and nobody drives it: 1, 3" in wrong(url)
    with sqlite3.connect(tmp_path / "h.db") as db:
        db.execute("UPDATE trial SET document = replace(document, 'ok', 'no') WHERE id = 2")
        db.execute("UPDATE piece SET content = x'00' WHERE name = 'model'")
    db.close()
    assert "1 trials cannot be read: 2" in wrong(url)
    assert "1 attachments are missing or damaged: 'model' of trial 5" in wrong(url)


class Whole(int):
    """A whole number of a class of its own, as MongoDB's client has some."""


def test_doctor_takes_numbers_of_any_class(url, monkeypatch):
    records = SQLiteStore.records

    def wrapped(self, key):
        return [c._replace(trial=Whole(c.trial)) for c in records(self, key)]

    monkeypatch.setattr(SQLiteStore, "records", wrapped)
    assert as_json("doctor", url)["healthy"]


def test_doctor_lists_no_more_ids_than_are_missing(url, tmp_path):
    with SQLiteStore(tmp_path / "h.db") as store:
        store.append("two", [trial(2, OK)])
    text = told("doctor", url, code=1)
    assert "1 ids are missing: 1\n" in text


def test_doctor_does_not_list_a_gap_of_any_length(url, tmp_path):
    with SQLiteStore(tmp_path / "h.db") as store:
        store.append("two", [trial(2**62, created=1.0, started=2.0)])
    assert f"{2**62 - 1} ids are missing: 1, 2, 3, 4, 5 and {2**62 - 6} more" in wrong(url)


def test_doctor_of_a_cut_file(url, tmp_path):
    path = tmp_path / "h.db"
    path.write_bytes(path.read_bytes()[:-100])
    assert "has been cut" in wrong(url)


def test_doctor_hands_in_what_waits(url, tmp_path, monkeypatch):
    monkeypatch.setenv("SPARKTRIALS_SPOOL", str(tmp_path / "spool"))
    with open_store(url) as store:
        spool = Spool(store.url, "two", "f" * 32)
        spool.keep([trial(1, OK)])
        spool.close()
    assert "wait in" in wrong(url)
    told("doctor", url, "--repair")
    assert [r["trials"] for r in as_json("ls", url)] == [6, 2]


def test_doctor_compacts(url, tmp_path):
    path = tmp_path / "h.db"
    with SQLiteStore(path) as store:
        store.append("two", [trial(1, RUNNING)], {1: {"big": b"\1" * 2_000_000}})
        store.delete("two")
    assert path.stat().st_size > 2_000_000
    assert "unused" in wrong(url)
    told("doctor", url, "--compact")
    assert path.stat().st_size < 200_000
    assert as_json("best", url)["id"] == 5


# ---------------------------------------------------------------------- secrets


@pytest.mark.parametrize(
    ("command", "url"),
    [
        ("ls", f"postgresql://u:{SECRET}@127.0.0.1:1/db?password={SECRET}"),
        ("ls", f"mongodb://u:{SECRET}@127.0.0.1:1/db?serverSelectionTimeoutMS=1"),
        ("ls", f"mysql://u:{SECRET}@/"),
        ("ls", f"sqlite://u:{SECRET}@host/x"),
        *((c, f"foo://u:{SECRET}@host/x") for c in ("show", "best", "export", "rm", "doctor")),
    ],
)
def test_no_secret_is_shown(command, url, monkeypatch):
    monkeypatch.setattr("sparktrials.store.sql.store._OPENING_S", 0.1)
    monkeypatch.setattr("sparktrials.store.mongo.store._OPENING_S", 0.1)
    more = ("--all", "--yes") if command == "rm" else ()
    assert SECRET not in told(command, url, *more, code=1)


def test_no_secret_is_shown_of_what_is_too_much(monkeypatch, capsys):
    url = f"postgresql://u:{SECRET}@h/db"
    monkeypatch.setattr(sys, "argv", ["sparktrials", "ls", url, url])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert "***@h/db" in shown
    assert SECRET not in shown


def test_the_program(url):
    command = [Path(sys.executable).parent / "sparktrials", "doctor", url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "nothing is wrong" in done.stdout
    module = [sys.executable, "-m", "sparktrials", "ls", url]
    done = subprocess.run(module, capture_output=True, text=True, check=True)
    assert done.stdout == told("ls", url)
    done = subprocess.run([*command, "--no-such"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
