"""Trials as tables: ``to_pandas``, ``to_arrow``, ``to_spark``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparktrials.api.constants import options_of
from sparktrials.api.frames import arrow_table, pandas_frame, spark_frame
from sparktrials.api.table import columns_of, values_by_options, values_by_space
from sparktrials.api.view import TrialsView
from sparktrials.space import Space, compile_space

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from sparktrials.api.table import Column
    from sparktrials.study.protocols import Experiment

__all__ = ["TabularView"]


class TabularView(TrialsView):
    """What can be read of trials, as tables, too.

    A row is a trial, by id, errors and cancelled ones included. Columns are ``id``, ``state``,
    ``loss`` (missing unless the trial succeeded); ``params_<label>`` for each parameter;
    ``result_<key>`` for each single number, truth value, text or time that results hold; the times
    ``created``, ``started`` and ``finished`` in UTC; ``duration_s``, ``attempt``, ``host``,
    ``error_type`` and ``error_message``.

    The value of a choice is its option, not its index; one that is made of other parameters is JSON
    text. A parameter that is not active in a trial is missing there. In a history that was just
    opened options are those of the last run that are plain and short, and indices stand for others,
    unless `space` is given. A column that has several kinds of values has them as JSON text.
    """

    def experiment(self) -> Experiment | None:
        """Return what the store says of the experiment, if it is there."""
        raise NotImplementedError

    def to_pandas(self, space: Any = None) -> pd.DataFrame:  # noqa: ANN401 - any tree
        """Return the trials as a DataFrame of pandas.

        Parameters
        ----------
        space
            The search space; None: the one of the last ``fmin`` with these trials.

        Raises
        ------
        InvalidArgument
            If pandas is not installed.
        """
        return pandas_frame(self._columns(space))

    def to_arrow(self, space: Any = None) -> pa.Table:  # noqa: ANN401 - any tree
        """Return the trials as a table of Arrow, see `to_pandas`.

        Raises
        ------
        InvalidArgument
            If pyarrow is not installed.
        """
        return arrow_table(self._columns(space))

    def to_spark(self, spark: Any, space: Any = None) -> Any:  # noqa: ANN401 - of either kind
        """Return the trials as a DataFrame of a Spark session, see `to_pandas`.

        Neither pandas nor pyarrow is needed, but by a session of Spark Connect, which cannot do
        without them.

        Parameters
        ----------
        spark
            The session, classic or of Spark Connect.
        space
            As in `to_pandas`.

        Raises
        ------
        InvalidArgumentType
            If `spark` is no session.
        """
        return spark_frame(self._columns(space), spark)

    def _columns(self, space: Any) -> list[Column]:  # noqa: ANN401 - any tree
        if space is None:
            known = self._space()
        else:
            known = space if isinstance(space, Space) else compile_space(space)
        if known is not None:
            return columns_of(self._rows(), known.labels, values_by_space(known))
        experiment = self.experiment()
        return columns_of(self._rows(), self._labels(), values_by_options(options_of(experiment)))
