"""Do other engines read what is published? ROOT EXPECTED.json

ROOT is the target: a folder, or s3://bucket/prefix with the credentials in the
environment. EXPECTED says of each table its folder, its columns and their types, the
rows of each day, and the CSV that `tenure show` makes of all of it.

Every reader finds the files by the plain Hive glob (ROOT/table/as_of=*/*.parquet), sums
the columns up by itself, and must say the same as the CSV, types and days included. One
function a reader: it takes a Table and returns {what: text}. A reader that is not
installed is skipped, and that is said.
"""

import csv
import datetime
import decimal
import json
import os
import pathlib
import re
import sys

ROOT = sys.argv[1]
IS_S3 = ROOT.startswith("s3://")
MICROSECONDS = "%Y-%m-%d %H:%M:%S.%f"


class Table:
    """A published table: where it is, and what must be found there."""

    def __init__(self, name, told):
        self.name = name
        self.folder = f"{ROOT}/{told['folder']}"
        self.glob = f"{self.folder}/as_of=*/*.parquet"
        self.columns = told["columns"]
        self.days = told["days"]
        self.csv = told["csv"]

    def expected(self):
        """What `tenure show` says of it."""
        found = {f"rows {day}": str(rows) for day, rows in self.days.items()}
        rows = []
        for path in self.csv:
            with open(path, encoding="utf-8", newline="") as file:
                rows += csv.DictReader(file)
        for name, kind in self.columns.items():
            values = [row[name] for row in rows if row[name] != ""]
            found[f"{name} {kind}"] = of_texts(kind, values)
        return found


def of_texts(kind, values):
    """A column's values, written as CSV, in a few words."""
    if kind == "bigint":
        return summed(sum(map(int, values)))
    if kind.startswith("decimal"):
        return summed(sum(map(decimal.Decimal, values)))
    if kind == "double":
        return summed(sum(map(float, values)))
    if kind == "boolean":
        return summed(sum(value == "true" for value in values))
    if kind == "timestamp":
        values = [datetime.datetime.fromisoformat(value) for value in values]
    if kind == "date":
        values = [datetime.date.fromisoformat(value) for value in values]
    return spread(len(values), min(values, default=None), max(values, default=None))


def summed(value):
    """A sum as text: exact, but for doubles, which add up in any order."""
    if value is None:
        value = 0
    if isinstance(value, float):
        return f"{value:.6f}"
    return f"{decimal.Decimal(value):f}".rstrip("0").rstrip(".") if "." in str(value) else str(value)


def spread(count, least, most):
    """How many values there are, and between which."""
    return f"{count} {shown(least)} {shown(most)}"


def shown(value):
    """A text, date or time, alike from whichever reader."""
    if isinstance(value, datetime.datetime):
        return value.strftime(MICROSECONDS)
    return "-" if value is None else str(value)


# Readers


def duckdb(table):
    """DuckDB, httpfs by path: nothing is fetched from anywhere."""
    import duckdb

    offline = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    connection = duckdb.connect(config=offline)
    if IS_S3:
        connection.load_extension(str(httpfs()))
        endpoint = os.environ["AWS_ENDPOINT"].removeprefix("http://")
        connection.execute(
            f"create secret (type s3, key_id '{os.environ['AWS_ACCESS_KEY_ID']}',"
            f" secret '{os.environ['AWS_SECRET_ACCESS_KEY']}', endpoint '{endpoint}',"
            " url_style 'path', use_ssl false)"
        )
    source = f"read_parquet('{table.glob}', hive_partitioning = true)"
    described = connection.execute(f"describe select * from {source}").fetchall()
    names = {"varchar": "text"}
    kinds = {row[0]: names.get(row[1].lower(), row[1].lower()) for row in described}

    def ask(query):
        return connection.execute(query).fetchall()

    return by_sql(table, source, kinds, ask)


def httpfs():
    """The extension as it is installed beside DuckDB."""
    import duckdb_extension_httpfs

    [folder] = duckdb_extension_httpfs.__path__
    [path] = pathlib.Path(folder).rglob("httpfs.duckdb_extension")
    return path


def clickhouse(table):
    """ClickHouse, in this process."""
    from chdb import session

    source = f"file('{table.glob}', 'Parquet')"
    if IS_S3:
        url = table.glob.replace("s3://", os.environ["AWS_ENDPOINT"] + "/")
        key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        source = f"s3('{url}', '{key}', '{secret}', 'Parquet')"
    connection = CLICKHOUSE.setdefault("session", session.Session())

    def ask(query):
        quoted = (
            " settings use_hive_partitioning = 1, output_format_json_quote_64bit_integers = 1,"
            " output_format_json_quote_decimals = 1, cast_keep_nullable = 1"
        )
        return json.loads(str(connection.query(query + quoted, "JSONCompact")))["data"]

    kinds = {name: clickhouse_kind(kind) for name, kind, *_ in ask(f"describe {source}")}
    return by_sql(table, source, kinds, ask)


# There is one ClickHouse in a process.
CLICKHOUSE = {}


def clickhouse_kind(kind):
    """ClickHouse's name of a type as tenure's."""
    bare = re.sub(r"^(?:Nullable|LowCardinality)\((.*)\)$", r"\1", kind).replace(" ", "")
    bare = re.sub(r"^DateTime64\(6(,'UTC')?\)$", "timestamp", bare)
    names = {"Int64": "bigint", "String": "text", "Date32": "date", "Float64": "double"}
    return names.get(bare, "boolean" if bare == "Bool" else bare.lower())


def by_sql(table, source, kinds, ask):
    """What a SQL engine finds: sums of its own."""
    days = ask(f"select cast(as_of as varchar), count(*) from {source} group by 1")
    found = {f"rows {day}": str(rows) for day, rows in days}
    for name in table.columns:
        kind = kinds[name]
        quoted = f'"{name}"'
        if kind in ("bigint", "double") or kind.startswith("decimal"):
            [[value]] = ask(f"select sum({quoted}) from {source}")
            value = float(value) if kind == "double" and value is not None else value
            found[f"{name} {kind}"] = summed(exact(value))
        elif kind == "boolean":
            [[value]] = ask(f"select sum(case when {quoted} then 1 else 0 end) from {source}")
            found[f"{name} {kind}"] = summed(exact(value))
        else:
            text = f"cast({quoted} as varchar)"
            if kind == "text":
                text = quoted
            [[count, least, most]] = ask(
                f"select count({quoted}), min({text}), max({text}) from {source}"
            )
            found[f"{name} {kind}"] = spread(count, timely(kind, least), timely(kind, most))
    return found


def exact(value):
    """A number that came as text."""
    return decimal.Decimal(value) if isinstance(value, str) else value


def timely(kind, text):
    """A time that came as text."""
    if kind == "timestamp" and text is not None:
        return datetime.datetime.fromisoformat(text)
    return text


def polars(table):
    """Polars, lazily."""
    import polars as pl

    options = None
    if IS_S3:
        options = {
            "aws_endpoint_url": os.environ["AWS_ENDPOINT"],
            "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
            "aws_region": os.environ["AWS_REGION"],
            "aws_allow_http": "true",
        }
    frame = pl.scan_parquet(table.glob, hive_partitioning=True, storage_options=options)
    days = frame.group_by(pl.col("as_of").cast(pl.String)).len().collect()
    found = {f"rows {day}": str(rows) for day, rows in days.rows()}
    schema = frame.collect_schema()
    for name in table.columns:
        kind, column = polars_kind(pl, schema[name]), pl.col(name)
        if kind in ("bigint", "double", "boolean") or kind.startswith("decimal"):
            [[value]] = frame.select(column.sum()).collect().rows()
            found[f"{name} {kind}"] = summed(value)
        else:
            few = [column.count().alias("n"), column.min().alias("a"), column.max().alias("z")]
            [values] = frame.select(few).collect().rows()
            found[f"{name} {kind}"] = spread(*values)
    return found


def polars_kind(pl, kind):
    """Polars' type as tenure names it."""
    if isinstance(kind, pl.Decimal):
        return f"decimal({kind.precision},{kind.scale})"
    names = {pl.Int64: "bigint", pl.Float64: "double", pl.String: "text", pl.Date: "date",
             pl.Boolean: "boolean", pl.Datetime("us"): "timestamp"}
    return next((name for known, name in names.items() if kind == known), str(kind))


def pyarrow(table):
    """pyarrow, which finds partitions below a folder."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.dataset as ds
    import pyarrow.fs as fs

    system, folder = None, table.folder
    if IS_S3:
        system = fs.S3FileSystem(
            access_key=os.environ["AWS_ACCESS_KEY_ID"],
            secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
            endpoint_override=os.environ["AWS_ENDPOINT"].removeprefix("http://"),
            scheme="http",
            region=os.environ["AWS_REGION"],
        )
        folder = table.folder.removeprefix("s3://")
    read = ds.dataset(folder, filesystem=system, format="parquet", partitioning="hive").to_table()
    days = pc.value_counts(read["as_of"]).to_pylist()
    found = {f"rows {day['values']}": str(day["counts"]) for day in days}
    names = {pa.int64(): "bigint", pa.float64(): "double", pa.string(): "text",
             pa.date32(): "date", pa.bool_(): "boolean", pa.timestamp("us"): "timestamp"}
    for name in table.columns:
        column = read[name]
        kind = names.get(column.type, str(column.type).replace("decimal128", "decimal"))
        kind = kind.replace(" ", "")
        if kind in ("bigint", "double", "boolean") or kind.startswith("decimal"):
            found[f"{name} {kind}"] = summed(pc.sum(column).as_py())
        else:
            extremes = pc.min_max(column).as_py()
            count = len(column) - column.null_count
            found[f"{name} {kind}"] = spread(count, extremes["min"], extremes["max"])
    return found


READERS = [duckdb, clickhouse, polars, pyarrow]


def main():
    """Asks every reader about every table; 1 if one says something else."""
    told = json.loads(pathlib.Path(sys.argv[2]).read_text(encoding="utf-8"))
    tables = [Table(name, table) for name, table in told.items()]
    expected = {table.name: table.expected() for table in tables}
    differences = 0
    for reader in READERS:
        try:
            found = {table.name: reader(table) for table in tables}
        except ImportError as error:
            print(f"skipped: {reader.__name__}: {error}")
            continue
        for name, wanted in expected.items():
            for what in sorted(wanted.keys() | found[name].keys()):
                if wanted.get(what) != found[name].get(what):
                    differences += 1
                    print(f"{reader.__name__}: {name}, {what}: {found[name].get(what)},"
                          f" and not {wanted.get(what)}")
        values = sum(map(len, expected.values()))
        print(f"read: {reader.__name__}: {len(tables)} tables, {values} values compared")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
