"""What Spark's settings say of the cluster."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from sparktrials.dispatch.spark_resources import check_fits, grown_slots
from sparktrials.errors import InvalidArgument

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


def fitting(by_default, by_profile, dynamic="false"):
    """Check a profile on a cluster with so many slots, by default and for its tasks."""
    found = {"default": by_default, "needed": by_profile}
    scala = SimpleNamespace(
        conf=lambda: {"spark.dynamicAllocation.enabled": dynamic},
        resourceProfileManager=lambda: SimpleNamespace(defaultResourceProfile=lambda: "default"),
        maxNumConcurrentTasks=found.get,
    )
    context = SimpleNamespace(_jsc=SimpleNamespace(sc=lambda: scala), startTime=0)
    cpus = SimpleNamespace(amount=2.0)
    profile = SimpleNamespace(
        _java_resource_profile="needed", taskResources={"cpus": cpus}, executorResources={}
    )
    check_fits(context, profile)


def test_a_task_that_no_executor_can_run_is_refused():
    with pytest.raises(InvalidArgument, match=r"no executor .*\{'cpus': 2.0\}.*ask for less"):
        fitting(2, 0)
    fitting(2, 1)
    fitting(0, 0)  # none has come yet
    fitting(2, 0, dynamic="true")  # others may come
    fitting(None, None)  # a Spark that does not say
