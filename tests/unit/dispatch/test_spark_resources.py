"""What Spark's settings say of the cluster."""

from __future__ import annotations

import math

import pytest

from sparktrials.dispatch.spark_resources import grown_slots

ON = {"spark.dynamicAllocation.enabled": "true", "spark.master": "spark://h:7077"}
MOST = {"spark.dynamicAllocation.maxExecutors": "5"}
CORES = {"spark.executor.cores": "4"}


@pytest.mark.parametrize(
    ("conf", "slots"),
    [
        ({}, 0),
        (ON, math.inf),
        (ON | MOST, math.inf),
        (ON | CORES, math.inf),
        (ON | MOST | CORES, 20),
        (ON | MOST | CORES | {"spark.task.cpus": "3"}, 5),
        (ON | MOST | CORES | {"spark.task.cpus": "8"}, 5),
        (ON | MOST | CORES | {"spark.master": "local[4]"}, 0),
        (ON | MOST | CORES | {"spark.master": "local-cluster[1,1,1024]"}, 20),
    ],
)
def test_slots_that_a_cluster_may_grow_to(conf, slots):
    assert grown_slots(conf.get, None) == slots


def test_a_profile_may_ask_for_other_executors():
    assert grown_slots((ON | MOST | CORES).get, object()) == math.inf
