"""The Connect backend without a server: what it makes of what a session says and does."""

from __future__ import annotations

import pickle
import threading
from types import SimpleNamespace

import pytest

from sparktrials.dispatch.pickling import pickled
from sparktrials.dispatch.spark_connect import ConnectBackend
from sparktrials.dispatch.spark_connect_slots import ConnectSlots
from sparktrials.dispatch.spark_errors import Verdict, judge_connect
from sparktrials.dispatch.worker import Pack
from sparktrials.errors import InvalidArgumentType, ObjectiveNotPicklable, SparkContextStopped
from sparktrials.study.protocols import Task

pytest.importorskip("pyspark")

PACK = Pack(study="digest", trials=(), time_box_s=1.0)
RANGE = "== Physical Plan ==\n*(1) Range (0, 1, step=1, splits={})\n"
EIGHT = RANGE.format(8)


class Answer:
    """What ``collect`` and ``toArrow`` return: one cell."""

    def __init__(self, value):
        self.value = value

    def collect(self):
        return [[self.value]]

    def toArrow(self):
        return self

    def column(self, _):
        return [SimpleNamespace(as_py=lambda: self.value)]


class Session:
    """A Connect session as far as the backend knows one."""

    schema = None

    def __init__(self, plan=EIGHT, reports=(b"report",), **settings):
        self.plan = plan
        self.settings = settings
        self.is_stopped = False
        self.statements = []
        self.artifacts = []
        self.fault = None
        self.reports = list(reports)
        self.tasks = []
        self.tags = []
        self.mine = set()
        self.conf = SimpleNamespace(get=settings.get)

    def sql(self, statement):
        self.statements.append(statement)
        if self.fault is not None:
            raise self.fault
        return Answer(self.plan if statement.startswith("EXPLAIN") else 6)

    def range(self, *_):
        return self

    def addArtifacts(self, *paths, file):
        assert file
        if self.fault is not None:
            raise self.fault
        self.artifacts += paths

    def mapInArrow(self, task, _schema, **more):
        self.tasks.append((task, more))
        return Answer(self.reports.pop(0))

    def addTag(self, tag):
        self.mine.add(tag)

    def removeTag(self, tag):
        self.mine.discard(tag)

    def interruptTag(self, tag):
        self.tags.append(tag)
        if self.fault is not None:
            raise self.fault


def task(objective=abs):
    return Task(objective=objective, space=SimpleNamespace())


def profile(**cpus):
    return SimpleNamespace(
        taskResources={name: SimpleNamespace(amount=n) for name, n in cpus.items()}
    )


# --------------------------------------------------------------------- slots


def test_slots_are_read_off_a_plan_without_running_a_job():
    session = Session(RANGE.format(12))
    assert ConnectSlots(session, None)() == 12
    assert all(s.startswith("EXPLAIN") for s in session.statements)


@pytest.mark.parametrize(
    ("settings", "requests", "slots"),
    [
        ({"spark.task.cpus": "4"}, None, 3),
        ({}, profile(cpus=5.0), 2),
        ({"spark.task.cpus": "2"}, profile(gpu=1.0), 6),
        ({"spark.task.cpus": "100"}, None, 1),
    ],
)
def test_tasks_that_take_several_cpus_leave_fewer_slots(settings, requests, slots):
    assert ConnectSlots(Session(RANGE.format(12), **settings), requests)() == slots


def test_a_plan_that_says_nothing_is_made_up_for_by_one_query():
    session = Session("== Physical Plan ==\nSomethingElse")
    slots = ConnectSlots(session, None)
    assert slots() == 6
    slots._refresh()
    assert slots() == 6
    assert sum(s.startswith("SELECT") for s in session.statements) == 1


def test_a_cluster_that_grows_is_followed_and_one_that_is_away_is_no_error():
    session = Session(RANGE.format(2))
    slots = ConnectSlots(session, None)
    assert slots() == 2
    session.plan = RANGE.format(16)
    assert slots() == 2  # not asked again yet
    slots._asked = float("-inf")
    slots()
    slots._asking.join()
    assert slots() == 16
    session.fault = RuntimeError("away")
    slots._asked = float("-inf")
    slots()
    slots._asking.join()
    assert slots() == 16


# --------------------------------------------------------------------- what is sent


def test_what_is_sent_once_is_not_sent_again():
    session = Session()
    backend = ConnectBackend(session)
    backend.ship(task())
    assert len(session.artifacts) == 2  # the study, the package
    backend.ship(task())
    assert len(session.artifacts) == 2
    backend.ship(task(len))
    assert len(session.artifacts) == 3


def test_a_session_that_takes_no_files_has_them_in_each_query():
    session = Session()
    session.fault = RuntimeError("artifacts are not supported")
    backend = ConnectBackend(session)
    shipment = backend.ship(task())
    session.fault = None
    assert backend.run(shipment, PACK, "study: trial 3", "tag") == b"report"
    assert shipment.handle.with_queries
    ((task_run, _),) = session.tasks
    assert task_run.__name__ == "study: trial 3"  # what Spark's pages show of it


def test_files_that_do_not_reach_executors_go_with_each_query_from_then_on():
    session = Session(reports=[b"", b"one", b"", b"two", b"", b"three", b"four"])
    backend = ConnectBackend(session)
    shipment = backend.ship(task())
    found = [backend.run(shipment, PACK, "", "tag") for _ in range(4)]
    assert found == [b"one", b"two", b"three", b"four"]
    assert len(session.tasks) == 7
    assert shipment.handle.with_queries


def test_an_executor_that_has_not_got_the_files_yet_changes_nothing_for_others():
    session = Session(reports=[b"", b"one", b"", b"two", b"three", b"", b"four", b"five"])
    backend = ConnectBackend(session)
    shipment = backend.ship(task())
    found = [backend.run(shipment, PACK, "", "tag") for _ in range(5)]
    assert found == [b"one", b"two", b"three", b"four", b"five"]
    assert not shipment.handle.with_queries


def test_a_resource_profile_goes_with_each_query_where_spark_has_executors(caplog):
    from pyspark.resource import ResourceProfile

    wanted = ResourceProfile(_task_req={"cpus": SimpleNamespace(amount=2.0)})
    for master, more in (("spark://host:7077", {"profile": wanted}), ("local[2]", {})):
        session = Session(**{"spark.master": master})
        backend = ConnectBackend(session, wanted)
        backend.run(backend.ship(task()), PACK, "", "tag")
        assert session.tasks[0][1] == more
    assert "no effect on spark.master=local[2]" in caplog.text
    with pytest.raises(InvalidArgumentType, match="resource_profile"):
        ConnectBackend(session, 3)


class Broadcast:
    """Looks like Spark's: those of the real class belong to a SparkContext."""

    __module__ = "pyspark.core.broadcast"


class SparkSession:
    __module__ = "pyspark.sql.connect.session"


@pytest.mark.parametrize(
    ("kind", "text"), [(Broadcast, "refer to the value itself"), (SparkSession, "no Spark Connect")]
)
def test_what_means_nothing_on_executors_is_refused_by_name(kind, text):
    handle = kind()

    def objective(x):
        return handle, x

    with pytest.raises(ObjectiveNotPicklable, match=text) as caught:
        ConnectBackend(Session()).ship(task(objective))
    assert "variable 'handle' of objective" in str(caught.value)


def test_everything_else_pickles_as_spark_pickles_it():
    from pyspark import cloudpickle

    from sparktrials.dispatch.spark_connect_pickling import dumps

    there = pickle.loads(pickled(lambda x: x + 1, "it", dumps))
    assert there(1) == 2
    assert pickle.loads(dumps({"a": [1, 2]})) == cloudpickle.loads(dumps({"a": [1, 2]}))


# --------------------------------------------------------------------- ends


def test_a_session_that_was_stopped_is_an_error_that_says_what_to_do():
    session = Session()
    session.is_stopped = True
    backend = ConnectBackend(session)
    for act in (backend.slots, backend.grows_to, lambda: backend.ship(task())):
        with pytest.raises(SparkContextStopped, match=r"stop\(\) the session, make a new one"):
            act()


def test_a_session_that_the_server_forgot_is_the_same():
    session = Session()
    backend = ConnectBackend(session)
    session.fault = RuntimeError("[INVALID_HANDLE.SESSION_CLOSED] The handle is invalid.")
    with pytest.raises(SparkContextStopped, match="SESSION_CLOSED"):
        backend.slots()
    assert backend.stopped()


def test_that_a_session_ended_shows_while_its_queries_hang():
    session = Session()
    backend = ConnectBackend(session)
    backend.slots()
    assert backend.ended() is None
    for text, ended in (("away", False), ("[INVALID_HANDLE.SESSION_CLOSED]", True)):
        session.fault = RuntimeError(text)
        backend._slots._asked = float("-inf")
        backend.ended()
        backend._slots._asking.join()
        assert bool(backend.ended()) == ended
    assert backend.stopped()


def test_other_errors_of_the_server_are_passed_on():
    session = Session()
    backend = ConnectBackend(session)
    session.fault = RuntimeError("no")
    with pytest.raises(RuntimeError, match="no"):
        backend.slots()
    assert not backend.stopped()


def test_cancelling_does_not_wait_for_a_server_that_is_away(monkeypatch):
    monkeypatch.setattr("sparktrials.dispatch.spark_connect._CANCEL_WAIT_S", 0.0)
    go = threading.Event()
    session = Session()
    session.interruptTag = lambda tag: (session.tags.append(tag), go.wait())
    backend = ConnectBackend(session)
    for _ in range(5):
        backend.cancel(["tag"])
    go.set()
    backend._interrupts.ask(["tag"], 30)  # waits for the one that is under way, or asks at once
    assert set(session.tags) == {"tag"}
    assert len(session.tags) <= 2


def test_all_interrupts_are_under_way_at_the_same_time():
    together = threading.Barrier(3)
    session = Session()
    session.interruptTag = lambda tag: (together.wait(30), session.tags.append(tag))
    backend = ConnectBackend(session)
    backend.cancel(["a", "b", "c"])
    backend._interrupts.ask(["a", "b", "c"], 30)
    assert {"a", "b", "c"} <= set(session.tags)


def test_a_query_has_its_own_tag_while_it_runs():
    session = Session(reports=[b"one"])
    backend = ConnectBackend(session)
    shipment = backend.ship(task())
    seen = []
    answer = session.mapInArrow

    def mapInArrow(*args, **more):
        seen.append(set(session.mine))
        return answer(*args, **more)

    session.mapInArrow = mapInArrow
    backend.run(shipment, PACK, "", "tag-1")
    assert seen == [{"tag-1"}]
    assert session.mine == set()


class Grpc(Exception):
    def __init__(self, text, code):
        super().__init__(text)
        self.code = code

    def getGrpcStatusCode(self):
        return SimpleNamespace(name=self.code)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("[INVALID_HANDLE.SESSION_NOT_FOUND] The handle 1-2 is invalid.", Verdict.STOPPED),
        ("[INVALID_HANDLE.SESSION_CHANGED] The handle 1-2 is invalid.", Verdict.STOPPED),
        ("[NO_ACTIVE_SESSION] No active Spark session found.", Verdict.STOPPED),
        ("[RETRIES_EXCEEDED] The maximum number of retries has been exceeded.", Verdict.STOPPED),
        ("Received incorrect server side session identifier for request.", Verdict.STOPPED),
        ("[OPERATION_CANCELED] Operation has been canceled.", Verdict.CANCELLED),
        ("[INVALID_HANDLE.OPERATION_ABANDONED] The handle", Verdict.WORKER_LOST),
        ("Job aborted: Python worker exited unexpectedly (crashed)", Verdict.WORKER_LOST),
        ("TaskResourceProfiles are only supported for Standalone, Yarn", Verdict.REFUSED),
        ("[PYTHON_VERSION_MISMATCH] Python in worker has different", Verdict.ENVIRONMENT),
        ("ModuleNotFoundError: No module named 'pyarrow'", Verdict.ENVIRONMENT),
    ],
)
def test_what_servers_say_is_understood(text, verdict):
    assert judge_connect(Grpc(text, "INTERNAL")).verdict is verdict


def test_a_server_that_does_not_answer_is_gone():
    assert judge_connect(Grpc("failed to connect", "UNAVAILABLE")).verdict is Verdict.STOPPED
