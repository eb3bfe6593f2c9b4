"""The floor: floor.py ORDERS WAREHOUSE OUT [THREADS] writes two numbers to OUT/seconds.

Whatever the tables mean, a run has to read the needed columns of the orders and to
write the tables. DuckDB does both here, with the published tables already in memory.
"""

import pathlib
import sys
import time

import duckdb

SCAN = """
select sum(o_orderkey), sum(hash(o_custkey) % 2), max(o_orderdate), sum(o_totalprice)
from read_parquet('{orders}')
where cast(o_orderdate as date) > date '1900-01-01'
"""


def main():
    """Scans, then writes every table that was published."""
    orders, warehouse, out, *rest = sys.argv[1:]
    connection = duckdb.connect()
    connection.execute(f"set threads = {rest[0] if rest else 2}")
    connection.execute("set preserve_insertion_order = false")

    tables = []
    for number, folder in enumerate(sorted(pathlib.Path(warehouse).glob("*/as_of=*"))):
        if "quarantine" not in folder.parent.name:
            connection.execute(
                f"create temp table t{number} as select *"
                f" from read_parquet('{folder}/*.parquet', hive_partitioning = false)"
            )
            tables.append(f"t{number}")

    start = time.perf_counter()
    connection.execute(SCAN.format(orders=orders)).fetchall()
    scanned = time.perf_counter()
    for name in tables:
        connection.execute(
            f"copy {name} to '{out}/{name}.parquet'"
            " (format parquet, compression zstd, compression_level 1)"
        )
    seconds = f"{scanned - start} {time.perf_counter() - scanned}"
    pathlib.Path(out, "seconds").write_text(seconds, encoding="ascii")


if __name__ == "__main__":
    main()
