"""Spark for tests: sessions in this process, scripts in others, a cluster, a Connect server.

One process can hold one SparkContext, so tests share the session of `spark_local`; what needs
another deployment runs as a script of its own. Settings stand in ``conf/``, never here.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from tests import servers
from tests.ports import free_port, free_ports
from tests.processes import DIES_WITH_US

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
CLUSTERS = {"standalone_cluster", "gpu_cluster"}
SPARK_FIXTURES = {
    "spark_local",
    "spark_script",
    "connect_server",
    "connect_session",
    "start_connect_server",
    *CLUSTERS,
}

#: Seconds that a thread which logs to MLflow may take to end, on a loaded machine.
_TRACKING_PATIENCE_S = 60.0

# Makes of any Python one that has no sparktrials installed, however that was done.
_NO_SPARKTRIALS = """
import os, sys
sys.path[:] = [p for p in sys.path if not os.path.exists(os.path.join(p, "sparktrials"))]
sys.meta_path[:] = [f for f in sys.meta_path if "editable" not in getattr(f, "__name__", str(f))]
"""

# Where CI is set, hypothesis loads a profile of its own: no deadlines, and nothing random.
settings.register_profile("sparktrials", deadline=None)
if not os.environ.get("CI"):
    settings.load_profile("sparktrials")


def pytest_configure():
    # A shell starts what runs in its background with Ctrl-C ignored, and programs hand that on to
    # those that they start: tests that interrupt a program would wait for it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    for item in items:
        used = SPARK_FIXTURES.intersection(getattr(item, "fixturenames", ()))
        if used:
            item.add_marker(pytest.mark.spark)
        if CLUSTERS & used:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(autouse=True)
def no_tracking_thread_is_left():
    """Have threads that log to MLflow end with their test: they would disturb others."""
    yield
    deadline = time.monotonic() + _TRACKING_PATIENCE_S
    for thread in threading.enumerate():
        if thread.name.startswith("sparktrials-tracking"):
            thread.join(max(0.0, deadline - time.monotonic()))
            assert not thread.is_alive(), f"{thread.name} is left"


def spark_environment(conf: str, **more: str) -> dict[str, str]:
    """Return this process's environment, with the Spark settings of ``conf/<conf>`` only."""
    from sparktrials.dispatch.java import ensure_java

    ensure_java()
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SPARK_", "PYSPARK_")) and name != "MASTER"
    }
    environment |= {
        "SPARK_CONF_DIR": str(CONF / conf),
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT / "src"),
        # pyspark warns about packages that it does not know; scripts' output is compared
        "PYTHONWARNINGS": "ignore::FutureWarning",
    }
    return environment | more


#: Database servers, started when a test asks for one.
postgres_server = servers.fixture(servers.postgres)
mariadb_server = servers.fixture(servers.mariadb)
mongo_server = servers.fixture(servers.mongo)


@pytest.fixture(scope="session")
def spark_local(tmp_path_factory):
    """Return the SparkSession of this process: ``conf/local``, two slots, no retries."""
    from pyspark.sql import SparkSession

    environment = spark_environment("local")
    with pytest.MonkeyPatch.context() as patch:
        for name in set(os.environ) - set(environment):
            patch.delenv(name)
        for name, value in environment.items():
            if name != "PYTHONPATH":
                patch.setenv(name, value)
        session = SparkSession.builder.appName("sparktrials-tests").getOrCreate()
        yield session
        session.stop()


@pytest.fixture
def spark_script(tmp_path):
    """Return a function that runs a Python script against a deployment, in a process of its own.

    ``spark_script(source_or_path, *arguments, conf="local-cluster", master=None, timeout=240,
    check=True, **environment)`` returns a ``CompletedProcess`` with text output. The script gets
    its session with ``SparkSession.builder.getOrCreate()``; `master` is a cluster's URL.
    """

    def run(source, *arguments, conf=None, master=None, timeout=240, check=True, **environment):
        if not isinstance(source, Path):
            path = tmp_path / "script.py"
            path.write_text(textwrap.dedent(source))
            source = path
        if master is not None:
            environment["MASTER"] = master
        conf = conf or ("standalone" if master else "local-cluster")
        command = [sys.executable, str(source), *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        where = {"cwd": tmp_path, "env": spark_environment(conf, **environment)}
        with _running(command, **pipes, **where) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                _kill_group(process)
                try:
                    out, err = process.communicate(timeout=60)
                except subprocess.TimeoutExpired as error:  # who left the group holds the pipes
                    out, err = error.output, error.stderr
                pytest.fail(f"no end after {timeout} s\n--- stdout\n{out}\n--- stderr\n{err}")
        if check and process.returncode != 0:
            pytest.fail(f"exit {process.returncode}\n--- stdout\n{out}\n--- stderr\n{err}")
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    return run


@dataclass(frozen=True)
class StandaloneCluster:
    """A running master with its workers, one core each."""

    url: str
    web_url: str
    directory: Path
    start_worker: Callable[[contextlib.ExitStack, str], subprocess.Popen]

    def state(self) -> dict:
        """Return what the master's web page knows: workers, active applications."""
        with urllib.request.urlopen(self.web_url + "/json/", timeout=5) as response:
            return json.load(response)

    @contextlib.contextmanager
    def another_worker(self):
        """Run one more worker; yield the processes that it consists of."""
        with contextlib.ExitStack() as stack:
            process = self.start_worker(stack, "another")
            _wait_for_workers(self, 3, timeout=120)
            yield _processes_of_group(process.pid)
        _wait_for_workers(self, 2, timeout=120)


def _processes_of_group(group):
    """Return the processes of a group that runs no executors yet."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "-g", str(group)], check=True, capture_output=True, text=True
    )
    return found.stdout.split()


@pytest.fixture(scope="session")
def standalone_cluster(tmp_path_factory):
    """Return a `StandaloneCluster` of two workers on loopback, from the pyspark package."""
    with _standalone(tmp_path_factory.mktemp("standalone"), "standalone", (1, 1)) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def gpu_cluster(tmp_path_factory):
    """Return a `StandaloneCluster` of one worker with four cores and two GPUs that are none."""
    with _standalone(tmp_path_factory.mktemp("gpus"), "standalone-gpu", (4,)) as cluster:
        yield cluster


@contextlib.contextmanager
def _standalone(directory, conf, cores):
    """Run a master and a worker for each number of cores."""
    import pyspark

    environment = spark_environment(conf)
    environment["SPARK_HOME"] = str(Path(pyspark.__file__).parent)
    del environment["PYTHONPATH"]  # executors have what is installed, no more
    spark_class = environment["SPARK_HOME"] + "/bin/spark-class"
    port, web_port = map(str, free_ports(2))
    master = ["org.apache.spark.deploy.master.Master", "--host", "127.0.0.1"]
    worker = ["org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1", "--webui-port", "0"]
    worker += ["--memory", "1g"]

    url = f"spark://127.0.0.1:{port}"

    def start(stack, name, *arguments):
        log = stack.enter_context((directory / f"{name}.log").open("w"))
        streams = {"stdout": log, "stderr": subprocess.STDOUT}
        command = [spark_class, *arguments]
        return stack.enter_context(_running(command, cwd=directory, env=environment, **streams))

    def start_worker(stack, name, n=1):
        work = ["--work-dir", str(directory / name)]
        return start(stack, name, *worker, "--cores", str(n), *work, url)

    cluster = StandaloneCluster(url, f"http://127.0.0.1:{web_port}", directory, start_worker)
    with contextlib.ExitStack() as stack:
        start(stack, "master", *master, "--port", port, "--webui-port", web_port)
        for i, n in enumerate(cores, 1):
            start_worker(stack, f"worker{i}", n)
        _wait_for_workers(cluster, len(cores), timeout=120)
        yield cluster


@dataclass(frozen=True)
class ConnectServer:
    """A Spark Connect server with two slots, whose executors have no sparktrials."""

    url: str
    log: Path
    kill: Callable[[], None]


@pytest.fixture(scope="session")
def connect_server(tmp_path_factory):
    """Return the `ConnectServer` that tests share: none of them harms it."""
    with _connect_server(tmp_path_factory.mktemp("connect")) as server:
        yield server


@pytest.fixture
def start_connect_server(tmp_path_factory):
    """Return a function that starts a `ConnectServer` of the test's own, at `port` if given."""
    with contextlib.ExitStack() as stack:

        def start(port=None, **environment):
            directory = tmp_path_factory.mktemp("connect")
            return stack.enter_context(_connect_server(directory, port, **environment))

        yield start


@pytest.fixture(scope="session")
def connect_session(connect_server):
    """Return the Connect session that tests share, warmed up: each session has Pythons of its own.

    This process may have a SparkContext, too.
    """
    session = connect(connect_server.url)
    session.range(0, 2, 1, 2).mapInArrow(lambda batches: batches, "id long").collect()
    yield session
    session.stop()


def connect(url):
    """Return a new session of a Connect server."""
    pytest.importorskip("grpc", reason="the extra sparktrials[connect] is not installed")
    from pyspark.sql.connect.session import SparkSession

    # This builder, unlike that of pyspark.sql, leaves the process's own Spark alone.
    return SparkSession.builder.remote(url).create()


@contextlib.contextmanager
def _connect_server(directory, port=None, **environment):
    import pyspark

    if port is None:
        port = free_port()
    (directory / "executors").mkdir()
    (directory / "executors" / "sitecustomize.py").write_text(_NO_SPARKTRIALS)
    environment = spark_environment("connect", **environment)
    environment["SPARK_HOME"] = str(Path(pyspark.__file__).parent)
    environment["PYTHONPATH"] = str(directory / "executors")
    command = [environment["SPARK_HOME"] + "/bin/spark-submit"]
    command += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer"]
    command += ["--conf", f"spark.connect.grpc.binding.port={port}"]
    log = directory / "server.log"
    with log.open("w") as file:
        streams = {"stdout": file, "stderr": subprocess.STDOUT}
        with _running(command, cwd=directory, env=environment, **streams) as process:
            _wait_for_port(int(port), process, log, timeout=240)
            yield ConnectServer(f"sc://127.0.0.1:{port}", log, lambda: _kill_group(process))


def _wait_for_port(port, process, log, timeout):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    pytest.fail(f"the Connect server is not up after {timeout} s\n{log.read_text()}")


@contextlib.contextmanager
def _running(command, **options):
    """Run a program in a process group of its own that ends with this block."""
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(
            ["sh", "-c", DIES_WITH_US, "sh", *command],
            stdin=reading,
            start_new_session=True,
            **options,
        )
    finally:
        os.close(reading)
    with process:
        try:
            yield process
        finally:
            _kill_group(process)
            os.close(writing)


def _wait_for_workers(cluster, n, timeout):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):  # not up yet
            if cluster.state()["aliveworkers"] == n:
                return
        time.sleep(0.25)
    logs = "\n".join(f"--- {p.name}\n{p.read_text()}" for p in cluster.directory.glob("*.log"))
    pytest.fail(f"the standalone cluster is not up after {timeout} s\n{logs}")


def _kill_group(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
