"""``hyperopt.mongoexp``: not here yet."""

msg = (
    "hyperopt.mongoexp (MongoTrials) is not part of this version of sparktrials: "
    "Trials('sqlite:///runs.db') keeps a history, SparkTrials evaluates in parallel; "
    "docs/compat.md says what comes"
)
raise ImportError(msg)
