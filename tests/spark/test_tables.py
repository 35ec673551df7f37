"""``trials.to_spark`` on sessions of both kinds."""

from __future__ import annotations

import pytest
from tests.unit.api.test_tables import run


@pytest.mark.parametrize(
    "session", [pytest.param("spark_local", marks=pytest.mark.spark35), "connect_session"]
)
def test_to_spark(session, request):
    spark = request.getfixturevalue(session)
    trials = run()
    frame = trials.to_spark(spark)
    rows = [row.asDict() for row in frame.orderBy("id").collect()]
    mine = trials.to_arrow().to_pylist()
    assert [list(row) for row in rows] == [list(row) for row in mine]
    plain = [name for name in mine[0] if name not in {"created", "started", "finished"}]
    for ours, theirs in zip(mine, rows, strict=True):
        assert {k: ours[k] for k in plain} == {k: theirs[k] for k in plain}
        assert abs(ours["finished"].timestamp() - theirs["finished"].timestamp()) < 1e-3
    types = dict(frame.dtypes)
    assert types["params_size"] == "bigint"
    assert types["finished"] == "timestamp"
    assert frame.where("state = 'failed'").count() == sum(r["state"] == "failed" for r in mine)
