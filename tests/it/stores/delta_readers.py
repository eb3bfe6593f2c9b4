"""Reads a Delta table of tenure the way other engines do.

    delta_readers.py duckdb|polars URL [VERSION]   a line a day: day, rows, sum of `net`
    delta_readers.py types URL                     a line a column: name, type
    delta_readers.py history URL                   a line a version: number, its message
    delta_readers.py maintain URL                  rewrites files and makes a checkpoint

Stores are configured by the same variables as for tenure. Exit code 3: the
reader is not installed, or cannot reach this kind of store.
"""

import os
import sys
from urllib.parse import urlparse

MISSING = 3


def missing(why):
    print(f"skipped: {why}", file=sys.stderr)
    sys.exit(MISSING)


def options():
    names = {
        "AWS_ENDPOINT": "aws_endpoint_url",
        "AWS_REGION": "aws_region",
        "AWS_ACCESS_KEY_ID": "aws_access_key_id",
        "AWS_SECRET_ACCESS_KEY": "aws_secret_access_key",
        "AWS_ALLOW_HTTP": "aws_allow_http",
        "AZURE_STORAGE_USE_EMULATOR": "azure_storage_use_emulator",
        "GOOGLE_SERVICE_ACCOUNT_KEY": "google_service_account_key",
    }
    found = {option: os.environ[name] for name, option in names.items() if name in os.environ}
    return found or None


def duckdb(url, version):
    try:
        import duckdb
        import duckdb_extension_delta  # noqa: F401
    except ImportError as error:
        missing(error)
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    load(connection, "delta")
    scheme = urlparse(url).scheme
    if scheme == "s3":
        load(connection, "httpfs")
        endpoint = urlparse(os.environ["AWS_ENDPOINT"]).netloc
        key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        connection.execute(
            f"create secret (type s3, key_id '{key}', secret '{secret}', region 'us-east-1',"
            f" endpoint '{endpoint}', use_ssl false, url_style 'path')"
        )
    elif scheme:
        missing(f"DuckDB is not tried on {scheme}")
    at = "" if version is None else f", version => {version}"
    rows = connection.execute(
        f"select as_of, count(*), sum(net) from delta_scan('{url}'{at}) group by 1 order by 1"
    )
    for day, count, net in rows.fetchall():
        print(day, count, net)


def load(connection, name):
    """Loads an extension from the package it came with."""
    import importlib
    import pathlib

    try:
        module = importlib.import_module(f"duckdb_extension_{name}")
    except ImportError as error:
        missing(error)
    folder = pathlib.Path(module.__file__).parent
    file = next(folder.rglob(f"{name}.duckdb_extension"))
    connection.load_extension(str(file))


def scanned(url, version):
    try:
        import deltalake  # noqa: F401
        import polars
    except ImportError as error:
        missing(error)
    return polars.scan_delta(url, version=version, storage_options=options())


def polars(url, version):
    import polars

    days = scanned(url, version).group_by("as_of").agg(polars.len(), polars.sum("net"))
    for row in days.sort("as_of").collect().rows():
        print(*row)


def types(url, _):
    for name, kind in scanned(url, None).collect_schema().items():
        print(name, kind)


def opened(url):
    try:
        from deltalake import DeltaTable
    except ImportError as error:
        missing(error)
    return DeltaTable(url, storage_options=options())


def maintain(url, _):
    table = opened(url)
    table.optimize.z_order(["customer_id"])
    table.create_checkpoint()


def history(url, _):
    for commit in sorted(opened(url).history(), key=lambda commit: commit["version"]):
        print(commit["version"], commit.get("userMetadata", commit["operation"]))


reader, url, *rest = sys.argv[1:]
try:
    {"duckdb": duckdb, "polars": polars, "types": types, "history": history, "maintain": maintain}[
        reader
    ](url, int(rest[0]) if rest else None)
except ModuleNotFoundError as error:
    missing(error)
