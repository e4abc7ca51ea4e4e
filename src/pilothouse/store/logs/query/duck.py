"""One DuckDB for all queries, shut off from everything but what it is handed."""

import threading
from collections.abc import Sequence

import duckdb
import pyarrow as pa

MEMORY = "128MB"
"""What DuckDB may use: it is handed a row group at a time, and keeps nothing."""

_local = threading.local()
_lock = threading.Lock()
_database: duckdb.DuckDBPyConnection | None = None


def _connect() -> duckdb.DuckDBPyConnection:
    global _database  # noqa: PLW0603 - opened at the first query that needs it, not at the start
    with _lock:
        if _database is None:
            opened = duckdb.connect(
                config={
                    "threads": 1,  # queries are spread over threads by piece already
                    "memory_limit": MEMORY,
                    "enable_external_access": "false",
                    "autoinstall_known_extensions": "false",
                    "autoload_known_extensions": "false",
                }
            )
            opened.execute("SET lock_configuration = true")
            _database = opened
        return _database.cursor()


def run(sql: str, piece: pa.Table, values: Sequence[object]) -> pa.Table:
    """The answer of `sql` over the table `piece`. Raises duckdb.Error."""
    cursor = getattr(_local, "cursor", None)
    if cursor is None:
        cursor = _local.cursor = _connect()
    cursor.register("piece", piece)
    try:
        return cursor.execute(sql, values).to_arrow_table()
    finally:
        cursor.unregister("piece")
