"""``hyperopt.atpe``: not here yet."""

msg = (
    "hyperopt.atpe (adaptive TPE) is not part of this version of sparktrials: use "
    "algo=tpe.suggest; docs/compat.md says what comes"
)
raise ImportError(msg)
