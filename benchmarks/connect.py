"""What a query costs on Spark Connect, by how the study reaches executors and how it is asked.

A server has to run, as conf/README.md says; then::

    python benchmarks/connect.py sc://127.0.0.1:15002 [--rounds 9]

The ways take turns, and medians are printed: on a busy machine their ratios count.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import pyarrow as pa
from pyspark.sql.connect.session import SparkSession
from pyspark.sql.types import BinaryType, StructField, StructType

SIZES = (10_000, 1_000_000, 20_000_000)
SCHEMA = StructType([StructField("report", BinaryType())])


def cell(number):
    import pyarrow as pa

    content = pa.array([str(number).encode()], pa.binary())
    return pa.RecordBatch.from_arrays([content], ["report"])


def in_function(row, data):
    def run(batches):
        for _ in batches:
            pass
        yield cell(len(data))

    return lambda: row.mapInArrow(run, SCHEMA).toArrow()


def as_file(session, row, data):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, f"connect-{os.getpid()}-{len(data)}")
        path.write_bytes(data)
        session.addArtifacts(str(path), file=True)
    name = path.name

    def run(batches):
        import builtins

        from pyspark import SparkFiles

        for _ in batches:
            pass
        known = builtins.__dict__.setdefault("connect_benchmark", {})
        if name not in known:
            with open(SparkFiles.get(name), "rb") as file:  # noqa: PTH123
                known[name] = file.read()
        yield cell(len(known[name]))

    return lambda: row.mapInArrow(run, SCHEMA).toArrow()


def as_input(session, data):
    table = session.createDataFrame(pa.table({"data": pa.array([data], pa.binary())})).coalesce(1)
    _ = table.schema

    def run(batches):
        yield cell(sum(len(v.as_py()) for batch in batches for v in batch.column(0)))

    return lambda: table.mapInArrow(run, SCHEMA).toArrow()


def medians(ways, rounds):
    times = {name: [] for name in ways}
    for way in ways.values():
        way()  # warm
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) * 1000 for name, found in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    from pyspark import cloudpickle

    cloudpickle.register_pickle_by_value(__import__(__name__))
    session = SparkSession.builder.remote(arguments.url).create()
    row = session.range(0, 1, 1, 1)
    _ = row.schema
    print(f"load {os.getloadavg()[0]:.0f}; milliseconds a query")
    for size in SIZES:
        data = os.urandom(size)
        ways = {
            "in each function": in_function(row, data),
            "file of the session": as_file(session, row, data),
            "input of the query": as_input(session, data),
        }
        found = medians(ways, arguments.rounds)
        print(f"{size:>11,} bytes  " + "  ".join(f"{k} {v:,.0f}" for k, v in found.items()))

    def run(batches):
        for _ in batches:
            pass
        yield cell(1)

    def new():
        return session.range(0, 1, 1, 1)

    ways = {
        "made once, toArrow": lambda: row.mapInArrow(run, SCHEMA).toArrow(),
        "collect": lambda: row.mapInArrow(run, SCHEMA).collect(),
        "collect, schema as text": lambda: row.mapInArrow(run, "report binary").collect(),
        "toArrow, new range": lambda: new().mapInArrow(run, SCHEMA).toArrow(),
        "collect, text, new range": lambda: new().mapInArrow(run, "report binary").collect(),
        "mapInPandas, collect": lambda: row.mapInPandas(lambda frames: frames, "id long").collect(),
    }
    for name, value in medians(ways, arguments.rounds).items():
        print(f"{name:<26} {value:,.0f}")
    session.stop()


if __name__ == "__main__":
    main()
