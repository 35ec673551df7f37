"""Every exception that sparktrials raises on purpose.

Nothing here imports another module of the package, so all may import this one.

::

    SparkTrialsError
    ├── BadSearchSpace
    │   ├── InvalidLabel (TypeError)            a label that is not a string
    │   ├── DuplicateLabel                      one label, two nodes
    │   ├── InvalidBounds (ValueError)          low, high, mu, sigma, q
    │   ├── InvalidProbabilities (ValueError)   pchoice
    │   ├── EmptyChoice (ValueError)            choice without options
    │   ├── NodeNotEvaluated (TypeError)        a node used as a bool, an int, an iterable
    │   ├── EmptySpace (IndexError)             no parameter where the algorithm needs one
    │   └── InvalidAnnotatedParameter (ValueError)  space="annotated", and no node there
    ├── InvalidArgument (ValueError)            an argument of fmin, Trials, SparkTrials, Study
    │   └── InvalidPoint                        a point that does not fit the space
    ├── InvalidArgumentType (TypeError)
    ├── InvalidTrial (ValueError)
    ├── InvalidResultStatus (ValueError)
    ├── InvalidLoss (ValueError)
    │   └── MissingLoss (TypeError)             None or another type that cannot be a loss
    ├── AllTrialsFailed
    │   └── NoPipelineFound (RuntimeError, ValueError)  of a search for pipelines
    ├── SpaceExhausted (LookupError)            the algorithm has no point left
    ├── TrialFailed (RuntimeError)              an objective failed on an executor
    ├── ObjectiveNotPicklable (TypeError)
    ├── BroadcastDestroyed (RuntimeError)
    ├── WorkerProcessError (RuntimeError)       no process on this machine can run trials
    ├── StoreError
    │   ├── StoreCorrupt
    │   ├── StoreVersionError
    │   ├── StoreInUse
    │   ├── StoreUnavailable (OSError)
    │   └── SpaceMismatch (ValueError)
    ├── ChannelError (OSError)                  between the driver and running tasks
    │   ├── ChannelUnreachable
    │   ├── ChannelClosed
    │   └── ChannelProtocolError
    └── SparkError (RuntimeError)
        ├── SparkNotAvailable
        ├── SparkContextStopped
        └── ExecutorEnvironmentError            wrong Python or a missing module on an executor
"""

from __future__ import annotations


class SparkTrialsError(Exception):
    """Base of all exceptions of this package."""


class BadSearchSpace(SparkTrialsError):
    """The search space breaks a rule."""


class InvalidLabel(BadSearchSpace, TypeError):
    """A label is not a string."""


class DuplicateLabel(BadSearchSpace):
    """One label names two different nodes."""


class InvalidBounds(BadSearchSpace, ValueError):
    """A distribution's parameters break its rule."""


class InvalidProbabilities(BadSearchSpace, ValueError):
    """The probabilities of a ``pchoice`` are negative or do not sum to 1."""


class EmptyChoice(BadSearchSpace, ValueError):
    """A choice has no options."""


class NodeNotEvaluated(BadSearchSpace, TypeError):
    """A node of a space was used as if it were the value that it will have."""


class EmptySpace(BadSearchSpace, IndexError):
    """The space has no parameter, and the algorithm needs one."""


class InvalidAnnotatedParameter(BadSearchSpace, ValueError):
    """A parameter of an objective is annotated with something that is no search-space node."""

    def __init__(self, msg: object = "", result: object = None) -> None:
        super().__init__(msg)
        self.result = msg if result is None and not isinstance(msg, str) else result


class InvalidArgument(SparkTrialsError, ValueError):
    """An argument has a value that makes no sense."""


class InvalidArgumentType(SparkTrialsError, TypeError):
    """An argument has the wrong type."""


class InvalidPoint(InvalidArgument):
    """A point does not fit the space that it is given for."""


class InvalidTrial(SparkTrialsError, ValueError):
    """A trial document is malformed: ``obj`` is the part that is wrong."""

    def __init__(self, msg: str = "", obj: object = None) -> None:
        super().__init__(msg)
        self.obj = obj


class InvalidResultStatus(SparkTrialsError, ValueError):
    """The objective returned a ``result`` whose status is not one of ``STATUS_STRINGS``."""

    def __init__(self, msg: object = "", result: object = None) -> None:
        super().__init__(msg)
        self.result = msg if result is None and not isinstance(msg, str) else result


class InvalidLoss(SparkTrialsError, ValueError):
    """The objective returned a ``result`` without a usable loss."""

    def __init__(self, msg: object = "", result: object = None) -> None:
        super().__init__(msg)
        self.result = msg if result is None and not isinstance(msg, str) else result


class MissingLoss(InvalidLoss, TypeError):
    """The objective returned something that cannot be a loss, such as ``None``."""


class AllTrialsFailed(SparkTrialsError):
    """No trial has a loss: the message quotes the first failure."""


class NoPipelineFound(AllTrialsFailed, RuntimeError, ValueError):
    """A search for pipelines came to none: the message counts the causes, the commonest first.

    ``ValueError`` is what scikit-learn's searches raise then, ``RuntimeError`` Hyperopt-Sklearn.
    """


class SpaceExhausted(SparkTrialsError, LookupError):
    """A study is asked for a point, and its algorithm has none left."""


class TrialFailed(SparkTrialsError, RuntimeError):
    """An objective failed elsewhere and failures are not to be caught."""


class ObjectiveNotPicklable(SparkTrialsError, TypeError):
    """The objective cannot be sent to another process; the message names the culprit."""


class BroadcastDestroyed(SparkTrialsError, RuntimeError):
    """A broadcast is used after its ``destroy()``."""


class WorkerProcessError(SparkTrialsError, RuntimeError):
    """A worker process on this machine cannot be started, or cannot load the objective."""


class StoreError(SparkTrialsError):
    """The history's store refused or failed."""


class StoreCorrupt(StoreError):
    """The store's file is not readable as a history."""


class StoreVersionError(StoreError):
    """The store was written by a newer version of sparktrials."""


class StoreInUse(StoreError):
    """Another driver that is alive is running this experiment."""


class StoreUnavailable(StoreError, OSError):
    """The store cannot be reached, is locked, full or read-only."""


class SpaceMismatch(StoreError, ValueError):
    """The experiment in the store has another search space."""


class ChannelError(SparkTrialsError, OSError):
    """The channel between the driver and running tasks does not work."""


class ChannelUnreachable(ChannelError):
    """The driver does not answer, or what answers there is not this run's driver."""


class ChannelClosed(ChannelError):
    """The connection has ended."""


class ChannelProtocolError(ChannelError):
    """Bytes that the other side would not have sent: nothing of them is used."""


class SparkError(SparkTrialsError, RuntimeError):
    """Something about Spark."""


class SparkNotAvailable(SparkError):
    """pyspark, Java or a Spark session is missing."""


class SparkContextStopped(SparkError):
    """The SparkContext was stopped."""


class ExecutorEnvironmentError(SparkError):
    """An executor's Python cannot run trials: wrong version or a missing module."""
