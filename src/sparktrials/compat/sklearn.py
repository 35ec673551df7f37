"""``hyperopt.sklearn``: not here yet."""

msg = (
    "hyperopt.sklearn (HyperoptSearchCV) is not part of this version of sparktrials: call fmin "
    "with cross_val_score in the objective; docs/compat.md says what comes"
)
raise ImportError(msg)
