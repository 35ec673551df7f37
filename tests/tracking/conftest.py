"""A real MLflow: stores in a directory of the test, a server in a process of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
import urllib.request
import warnings

import pytest
from tests.ports import free_port

from sparktrials.tracking import observer


@pytest.fixture(autouse=True)
def mlflow_settings(monkeypatch, tmp_path):
    """Keep MLflow quiet, patient for a moment only, and inside the test's directory."""
    monkeypatch.setattr(observer, "FLUSH_S", 300.0)  # of a loaded machine
    monkeypatch.setattr(observer, "STALLED_S", 300.0)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")  # of a loaded machine
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def no_tracking_thread_is_left(mlflow_settings, no_tracking_thread_is_left):
    """Wait for threads while these settings hold: by its own ones MLflow is patient for minutes."""


@pytest.fixture
def mlflow(mlflow_settings):
    """Return MLflow, imported without what its dependencies warn about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow = pytest.importorskip("mlflow")
    before = mlflow.get_tracking_uri()
    yield mlflow
    while mlflow.active_run() is not None:
        mlflow.end_run()
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """Return a file with MLflow's tables, which take seconds to make."""
    pytest.importorskip("sqlalchemy")
    pytest.importorskip("alembic")
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow = pytest.importorskip("mlflow", minversion="3.0")  # older: an older SQLAlchemy
        mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(params=["file", "sqlite"])
def store(request, mlflow, tmp_path):
    """Return MLflow, set to a store of each kind."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("empty_database"), tmp_path / "mlflow.db")
        uri = f"sqlite:///{tmp_path}/mlflow.db"
    else:
        uri = f"file://{tmp_path}/mlruns"
    mlflow.set_tracking_uri(uri)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.set_experiment("tests")
    return mlflow


class Server:
    """A tracking server that can be killed and started again."""

    def __init__(self, directory):
        self.directory = directory
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", f"sqlite:///{self.directory}/server.db"]
        with (self.directory / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.directory,
                stdout=log,
                stderr=log,
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                start_new_session=True,
            )
        deadline = time.monotonic() + 300  # two imports of all of MLflow, on a loaded machine
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.uri}/health", timeout=10).close()
                return
            time.sleep(0.2)  # until it listens
        self.kill()
        raise AssertionError((self.directory / "server.log").read_text()[-3000:])

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)
        self.process.wait()


@pytest.fixture(scope="session")
def server_process(tmp_path_factory):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("mlflow", minversion="3.0")
    for needed in ("flask", "flask_cors", "aiohttp", "alembic", "sqlalchemy"):
        pytest.importorskip(needed)
    server = Server(tmp_path_factory.mktemp("mlflow"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        server.start()
    yield server
    server.kill()


@pytest.fixture
def server(server_process, mlflow):
    """Return a running server that MLflow is set to."""
    if server_process.process.poll() is not None:
        server_process.start()
    mlflow.set_tracking_uri(server_process.uri)
    mlflow.set_experiment("tests")
    return server_process
