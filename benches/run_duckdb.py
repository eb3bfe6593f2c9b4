"""Builds the core tables with DuckDB: run_duckdb.py ORDERS OUT AS_OF [THREADS].

TIMES=1 in the environment prints the seconds of every statement.
"""

import os
import pathlib
import sys
import time

import duckdb

SQL = pathlib.Path(__file__).with_name("duckdb")


def statements(orders, out, as_of, threads):
    """The statements of all files, with their places filled in."""
    files = [path.read_text(encoding="utf-8") for path in sorted(SQL.glob("*.sql"))]
    lines = "\n".join(files).splitlines()
    text = "\n".join(line for line in lines if not line.strip().startswith("--")) + "\n"
    values = {"orders": orders, "out": out, "as_of": as_of, "threads": threads}
    for name, value in values.items():
        text = text.replace("{" + name + "}", str(value))
    return [statement for statement in text.split(";\n") if statement.strip()]


def main():
    """Runs them one after another."""
    orders, out, as_of, *rest = sys.argv[1:]
    connection = duckdb.connect()
    if limit := os.environ.get("DUCKDB_MEMORY"):
        connection.execute(f"set memory_limit = '{limit}'")
        connection.execute(f"set temp_directory = '{out}/.spill'")
    for statement in statements(orders, out, as_of, rest[0] if rest else 2):
        start = time.perf_counter()
        connection.execute(statement)
        if os.environ.get("TIMES"):
            words = " ".join(statement.split())
            label = words[-110:] if words.startswith("copy") else words[:40]
            print(f"{time.perf_counter() - start:8.3f}  {label}")


if __name__ == "__main__":
    main()
