from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from sparktrials.cli import app
from sparktrials.commands import worker as command
from sparktrials.errors import InvalidArgument
from sparktrials.worker.settings import Settings


@pytest.fixture
def told(monkeypatch):
    """Return the settings that a command makes, in a list."""
    found = []
    monkeypatch.setattr(command, "run_worker", lambda settings: found.append(settings) or 0)
    return found


def run(application, *arguments):
    return CliRunner().invoke(application, arguments)


def mongo_app():
    application = typer.Typer()
    application.command()(command.mongo_worker)
    return application


def test_a_worker_is_told_what_was_said(told, tmp_path):
    arguments = "--exp-key e --max-jobs 3 --poll 0.5 --trial-timeout 9 --trust-pickle --allow a"
    done = run(
        app, "worker", "sqlite:///x.db", *arguments.split(), "--allow", "b.c", "--workdir", tmp_path
    )
    assert done.exit_code == 0, done.output
    (settings,) = told
    assert settings == Settings(
        url="sqlite:///x.db",
        exp_key="e",
        max_jobs=3,
        poll_s=0.5,
        trial_timeout_s=9,
        trust_pickle=True,
        allow=["a", "b.c"],
        workdir=tmp_path,
    )


def test_hyperopts_flags(told):
    arguments = (
        "--mongo=h:1234/db --exp-key=e --max-jobs=2 --max-consecutive-failures=1 "
        "--poll-interval=0.1 --reserve-timeout=7 --last-job-timeout=8 --no-subprocesses"
    )
    done = run(mongo_app(), *arguments.split())
    assert done.exit_code == 0, done.output
    assert "--no-subprocesses has no effect" in done.output
    (settings,) = told
    assert settings == Settings(
        url="mongo://h:1234/db",
        exp_key="e",
        max_jobs=2,
        max_failures=1,
        poll_s=0.1,
        idle_timeout_s=7,
        last_job_s=8,
    )


def test_hyperopts_limit_of_jobs(told, tmp_path):
    url = f"sqlite:///{tmp_path}/runs.db"
    done = run(mongo_app(), "--mongo", url, "--max-jobs-in-db", "0")
    assert "has 0 trials already" in done.output
    assert told == []
    run(mongo_app(), "--mongo", url, "--max-jobs-in-db", "1")
    assert len(told) == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["memory:"], "name a store that they share"),
        (["nowhere"], "starts with its kind"),
        (["sqlite:///x.db", "--max-jobs", "0"], "max_jobs must be positive"),
        (["sqlite:////proc/x/y.db"], "cannot be"),
    ],
)
def test_what_makes_no_sense_is_said(arguments, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(app, "worker", *arguments)
    assert done.exit_code == 1
    assert text in done.output


@pytest.mark.parametrize(
    "setting", [{"max_jobs": 0}, {"poll_s": 0.0}, {"grace_s": -1.0}, {"exp_key": ""}]
)
def test_settings_are_checked(setting):
    with pytest.raises(InvalidArgument, match=next(iter(setting))):
        Settings(url="sqlite:///x.db", **setting)
