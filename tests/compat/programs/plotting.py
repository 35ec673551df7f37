"""`hyperopt.plotting`, drawn to a file."""

import io

import matplotlib as mpl
import numpy as np
from hyperopt import STATUS_FAIL, STATUS_OK, Trials, fmin, hp, plotting, tpe

mpl.use("Agg")
import matplotlib.pyplot as plt

space = {
    "x": hp.uniform("x", -5, 5),
    "lr": hp.loguniform("lr", -6, 0),
    "k": hp.choice("k", ["a", {"b": hp.normal("b", 0, 1)}]),
}


def objective(p):
    if p["x"] > 4.8:
        return {"status": STATUS_FAIL}
    return {
        "loss": p["x"] ** 2 + np.log(p["lr"]) ** 2,
        "status": STATUS_OK,
    }


trials = Trials()
fmin(
    objective,
    space,
    algo=tpe.suggest,
    max_evals=40,
    trials=trials,
    rstate=np.random.default_rng(2),
    show_progressbar=False,
)
n_ok = trials.statuses().count("ok")


def picture():
    file = io.BytesIO()
    plt.savefig(file, format="png")
    return file.getvalue()


plt.figure()
plotting.main_plot_history(trials, do_show=False)
axes = plt.gca()
assert axes.get_ylabel() == "loss"
assert axes.get_xlabel() == "time"
assert axes.get_title() == "Loss History"
assert len(axes.collections[0].get_offsets()) == n_ok
history = picture()

plt.figure()
plotting.main_plot_histogram(trials, do_show=False, title="Losses")
axes = plt.gca()
assert axes.get_title() == "Losses"
assert axes.get_xlabel() == "loss"
assert sum(patch.get_height() for patch in axes.patches) == n_ok
assert picture() != history

plt.figure()
plotting.main_plot_vars(trials, do_show=False, colorize_best=3, columns=2)
figure = plt.gcf()
titles = {axes.get_title() for axes in figure.axes}
assert len(figure.axes) == 4, titles
assert {"x", "lr", "k", "b"} <= {t.split(" ")[0] for t in titles}, titles
assert picture().startswith(b"\x89PNG")
plt.close("all")
print("OK")
