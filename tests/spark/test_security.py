"""What others can see of a run on Spark: not the channel's secret."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

pyspark = pytest.importorskip("pyspark")

RUN = """
    import json, os, sys, urllib.request
    from pathlib import Path
    from pyspark.sql import SparkSession
    import sparktrials.dispatch.channel.server as server
    from sparktrials import SparkTrials, fmin, hp, rand

    spark = (
        SparkSession.builder.config("spark.eventLog.enabled", "true")
        .config("spark.eventLog.compress", "false")
        .config("spark.eventLog.dir", Path(sys.argv[1]).as_uri())
        .config("spark.ui.enabled", "true")
        .config("spark.ui.port", "0")
        .getOrCreate()
    )
    secrets = []
    listen = server.ChannelServer.__init__

    def remember(self, *args, **keywords):
        listen(self, *args, **keywords)
        secrets.append(self.address.secret.hex())

    server.ChannelServer.__init__ = remember

    def objective(x):
        if x < 0.3:
            raise ValueError("no")
        return x

    shown, looked = [], []

    def look(trials, *state):
        # What users may see of processes, while executors run.
        for process in Path("/proc").glob("[0-9]*"):
            for name in ("cmdline", "environ"):
                try:
                    text = (process / name).read_bytes()
                except OSError:
                    continue
                looked.append(process)
                secret = bytes.fromhex(secrets[0])
                if secret in text or secret.hex().encode() in text:
                    shown.append(str(process))
        return False, []

    trials = SparkTrials()
    points = [{"x": 0.1}, {"x": 0.9}, {"x": 0.5}]
    fmin(objective, hp.uniform("x", 0, 1), algo=rand.suggest, max_evals=0, trials=trials,
         points_to_evaluate=points, early_stop_fn=look, verbose=False)
    assert trials.count_successful_trials() == 2
    assert looked and not shown

    seen = []
    web = spark.sparkContext.uiWebUrl
    api = f"{web}/api/v1/applications/{spark.sparkContext.applicationId}"
    for page in ("jobs", "stages?details=true", "environment", "allexecutors", "storage/rdd"):
        seen.append(urllib.request.urlopen(f"{api}/{page}").read().decode())
    stages = json.loads(seen[-4])
    for page in ("jobs/", "stages/", "storage/", "environment/", "executors/",
                 f"stages/stage/?id={stages[0]['stageId']}&attempt=0",
                 f"jobs/job/?id={json.loads(seen[-5])[0]['jobId']}"):
        seen.append(urllib.request.urlopen(f"{web}/{page}").read().decode())
    found = {"secrets": secrets, "seen": seen, "application": spark.sparkContext.applicationId}
    spark.stop()
    Path("seen.json").write_text(json.dumps(found))
"""


def test_the_secret_is_in_no_log_and_on_no_page(spark_script, tmp_path):
    events = tmp_path / "events"
    events.mkdir()
    done = spark_script(RUN, events, conf="local-cluster", timeout=380)
    found = json.loads((tmp_path / "seen.json").read_text())
    (secret,) = map(bytes.fromhex, found["secrets"])
    # Executors write beside Spark itself here (conf/README.md).
    executors = Path(pyspark.__file__).parent / "work" / found["application"]
    logs = [executors / n / name for n in "01" for name in ("stdout", "stderr")]
    logs += [path for path in events.rglob("*") if path.is_file()]
    texts = [*found["seen"], done.stdout, done.stderr, *(p.read_text() for p in logs)]
    assert any("SparkListenerJobStart" in text for text in texts)
    shapes = {
        secret.hex(),
        secret.decode("latin-1"),
        repr(secret)[2:-1],
        base64.b64encode(secret).decode()[:40],
        ", ".join(str(b) for b in secret[:8]),
    }
    for text in texts:
        assert not [shape for shape in shapes if shape in text]
