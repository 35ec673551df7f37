"""``hyperopt.base``: trials, domains, states, and documents as lists of ids and values."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from sparktrials.api.adoption import TRIAL_KEYS as _TRIAL_KEYS, TRIAL_MISC_KEYS as _MISC_KEYS
from sparktrials.api.documents import (
    JOB_STATE_CANCEL,
    JOB_STATE_DONE,
    JOB_STATE_ERROR,
    JOB_STATE_NEW,
    JOB_STATE_RUNNING,
)
from sparktrials.api.options import positive_seconds, threshold
from sparktrials.api.trials import Trials, trials_from_docs
from sparktrials.compat import pyll
from sparktrials.compat.control import Ctrl
from sparktrials.compat.domain import Domain
from sparktrials.compat.utils import pmin_sampled, use_obj_for_literal_in_memo
from sparktrials.dispatch.evaluation import (
    STATUS_FAIL,
    STATUS_NEW,
    STATUS_OK,
    STATUS_RUNNING,
    STATUS_STRINGS,
    STATUS_SUSPENDED,
)
from sparktrials.errors import (
    AllTrialsFailed,
    DuplicateLabel,
    InvalidArgument,
    InvalidLoss,
    InvalidResultStatus,
    InvalidTrial,
)

__all__ = [
    "JOB_STATES",
    "JOB_STATE_CANCEL",
    "JOB_STATE_DONE",
    "JOB_STATE_ERROR",
    "JOB_STATE_NEW",
    "JOB_STATE_RUNNING",
    "JOB_VALID_STATES",
    "STATUS_FAIL",
    "STATUS_NEW",
    "STATUS_OK",
    "STATUS_RUNNING",
    "STATUS_STRINGS",
    "STATUS_SUSPENDED",
    "TRIAL_KEYS",
    "TRIAL_MISC_KEYS",
    "AllTrialsFailed",
    "Ctrl",
    "Domain",
    "DuplicateLabel",
    "InvalidLoss",
    "InvalidResultStatus",
    "InvalidTrial",
    "SONify",
    "Trials",
    "miscs_to_idxs_vals",
    "miscs_update_idxs_vals",
    "pmin_sampled",
    "pyll",
    "spec_from_misc",
    "trials_from_docs",
    "use_obj_for_literal_in_memo",
    "validate_loss_threshold",
    "validate_timeout",
]

logger = logging.getLogger("hyperopt.base")

#: As in Hyperopt, where these are mutable; nothing here reads them.
JOB_STATES = [
    JOB_STATE_NEW,
    JOB_STATE_RUNNING,
    JOB_STATE_DONE,
    JOB_STATE_ERROR,
    JOB_STATE_CANCEL,
]
JOB_VALID_STATES = {JOB_STATE_NEW, JOB_STATE_RUNNING, JOB_STATE_DONE}
TRIAL_KEYS = list(_TRIAL_KEYS)
TRIAL_MISC_KEYS = list(_MISC_KEYS)


def SONify(arg: Any, memo: Any = None) -> Any:  # noqa: ANN401, ARG001, N802, PLR0911 - Hyperopt's name
    """Return a value with numpy's scalars and arrays as plain numbers and lists.

    Raises
    ------
    TypeError
        If it holds something that BSON has no place for.
    """
    if isinstance(arg, (np.bool_, bool)):
        return bool(arg)
    if isinstance(arg, np.generic):
        return arg.item()
    if isinstance(arg, np.ndarray):
        return SONify(arg.tolist())
    if isinstance(arg, (list, tuple)):
        return type(arg)([SONify(item) for item in arg])
    if isinstance(arg, Mapping):
        return {SONify(key): SONify(value) for key, value in arg.items()}
    if isinstance(arg, (str, bytes, float, int, dt.datetime)) or arg is None:
        return arg
    if type(arg).__name__ == "ObjectId":
        return arg
    msg = f"SONify takes plain values, got {arg!r} of type {type(arg).__name__}"
    raise TypeError(msg)


def miscs_update_idxs_vals(
    miscs: Sequence[dict[str, Any]],
    idxs: Mapping[str, Iterable[int]],
    vals: Mapping[str, Iterable[Any]],
    assert_all_vals_used: bool = True,  # noqa: FBT001, FBT002 - Hyperopt's signature
    idxs_map: Mapping[int, int] | None = None,
) -> Sequence[dict[str, Any]]:
    """Put ``label -> ids`` and ``label -> values`` into the trials' miscs, and return these.

    Parameters
    ----------
    assert_all_vals_used
        Whether an id that no misc has is an error.
    idxs_map
        Ids that are other ones in the miscs.

    Raises
    ------
    InvalidArgument
        If labels differ, or an id has no misc.
    """
    if set(idxs) != set(vals):
        msg = f"idxs and vals must have the same labels, got {sorted(idxs)} and {sorted(vals)}"
        raise InvalidArgument(msg)
    by_id = {misc["tid"]: misc for misc in miscs}
    for misc in miscs:
        misc["idxs"] = {label: [] for label in idxs}
        misc["vals"] = {label: [] for label in idxs}
    for label, ids in idxs.items():
        for given, value in zip(ids, vals[label], strict=True):
            tid = (idxs_map or {}).get(given, given)
            if tid in by_id:
                misc = by_id[tid]
                misc["idxs"][label] = [misc["tid"]]  # an int, also where `ids` is an array
                misc["vals"][label] = [value]
            elif assert_all_vals_used:
                msg = f"idxs[{label!r}] has the id {tid!r}, which no misc has"
                raise InvalidArgument(msg)
    return miscs


def miscs_to_idxs_vals(
    miscs: Sequence[Mapping[str, Any]], keys: Iterable[str] | None = None
) -> tuple[dict[str, list[int]], dict[str, list[Any]]]:
    """Return ``label -> ids`` and ``label -> values`` of the trials' miscs.

    Raises
    ------
    InvalidArgument
        If there is neither a misc nor `keys` to tell the labels.
    InvalidTrial
        If a misc has other ids than its own.
    """
    if keys is None:
        if not miscs:
            msg = "cannot infer keys from empty miscs"
            raise InvalidArgument(msg)
        keys = miscs[0]["idxs"]
    idxs: dict[str, list[int]] = {key: [] for key in keys}
    vals: dict[str, list[Any]] = {key: [] for key in idxs}
    for misc in miscs:
        for label in idxs:
            own, values = list(misc["idxs"][label]), list(misc["vals"][label])
            if own not in ([], [misc["tid"]]) or len(own) != len(values):
                msg = f"trial {misc['tid']}: idxs[{label!r}]={own}, vals[{label!r}]={values}"
                raise InvalidTrial(msg)
            idxs[label] += own
            vals[label] += values
    return idxs, vals


def spec_from_misc(misc: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``label -> value`` of a trial's misc, active labels only.

    Raises
    ------
    NotImplementedError
        If a label has several values.
    """
    for label, values in misc["vals"].items():
        if len(values) > 1:
            msg = f"trial {misc.get('tid')}: {label!r} has several values: {values!r}"
            raise NotImplementedError(msg)
    return {label: values[0] for label, values in misc["vals"].items() if len(values)}


def validate_timeout(timeout: object) -> None:
    """Refuse what is neither None nor a positive number of seconds.

    Raises
    ------
    InvalidArgument
        If it is neither.
    """
    positive_seconds("timeout", timeout)


def validate_loss_threshold(loss_threshold: object) -> None:
    """Refuse what is neither None nor a number.

    Raises
    ------
    InvalidArgument
        If it is neither.
    """
    threshold("loss_threshold", loss_threshold)
