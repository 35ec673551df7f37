"""Tables of trials in other libraries: pandas, Arrow, Spark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sparktrials.errors import InvalidArgument, InvalidArgumentType

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from sparktrials.api.table import Column

__all__ = ["arrow_table", "pandas_frame", "spark_frame", "write_parquet"]

#: Kind of a column -> its type where no value is missing, and where some are.
_PANDAS = {
    "bool": ("bool", "boolean"),
    "int": ("int64", "Int64"),
    "float": ("float64", "float64"),
    "time": ("datetime64[us, UTC]", "datetime64[us, UTC]"),
    "text": ("object", "object"),
}
_SPARK = {
    "bool": "BOOLEAN",
    "int": "BIGINT",
    "float": "DOUBLE",
    "time": "TIMESTAMP",
    "text": "STRING",
}


def pandas_frame(columns: Sequence[Column]) -> pd.DataFrame:
    """Return a table as a DataFrame of pandas.

    Raises
    ------
    InvalidArgument
        If pandas is not installed.
    """
    try:
        import pandas as pd  # noqa: PLC0415 - an optional package
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    series = {}
    for column in columns:
        whole, gaps = _PANDAS[column.kind]
        dtype = gaps if None in column.cells else whole
        series[column.name] = pd.Series(column.cells, dtype=dtype)
    frame: pd.DataFrame = pd.DataFrame(series)
    return frame


def arrow_table(columns: Sequence[Column]) -> pa.Table:
    """Return a table as one of Arrow.

    Raises
    ------
    InvalidArgument
        If pyarrow is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an optional package
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    types = {
        "bool": pa.bool_(),
        "int": pa.int64(),
        "float": pa.float64(),
        "time": pa.timestamp("us", tz="UTC"),
        "text": pa.string(),
    }
    arrays = [pa.array(column.cells, type=types[column.kind]) for column in columns]
    fields = [pa.field(column.name, types[column.kind]) for column in columns]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def write_parquet(columns: Sequence[Column], path: str) -> None:
    """Write a table as a Parquet file.

    Raises
    ------
    InvalidArgument
        If pyarrow is not installed.
    """
    table = arrow_table(columns)
    import pyarrow.parquet as pq  # noqa: PLC0415 - an optional package

    pq.write_table(table, path)


def spark_frame(columns: Sequence[Column], spark: Any) -> Any:  # noqa: ANN401 - of either kind
    """Return a table as a DataFrame of a Spark session, classic or Connect.

    Raises
    ------
    InvalidArgumentType
        If `spark` is no session.
    """
    make = getattr(spark, "createDataFrame", None)
    if not callable(make):
        msg = f"spark must be a Spark session, got {spark!r}"
        raise InvalidArgumentType(msg)
    # As text, so that pyspark need not be imported: both kinds of sessions read it.
    schema = ", ".join(f"`{c.name.replace('`', '``')}` {_SPARK[c.kind]}" for c in columns)
    rows = [*zip(*(column.cells for column in columns), strict=True)]
    return make(rows, schema)


def _missing(error: ModuleNotFoundError) -> InvalidArgument:
    return InvalidArgument(f"this table needs {error.name}: pip install {error.name}")
