"""Writes Delta tables as other programs do, for tenure to read.

    delta_writers.py URL   tables below URL; prints what counts in each as JSON

    orders/       written, a row deleted, one changed, compacted; a checkpoint and more
    replaced/     written, and overwritten by other rows
    parted/       in folders by channel and day, of which one was deleted
    many/         commits enough for several checkpoints
    optimized/    many small files that became one, the small ones still there

On a disk, more are made of `many`, whose commits up to the last checkpoint are gone:

    parts/        that checkpoint in two parts
    second/       that checkpoint as its second kind, with a sidecar
    compacted/    the commits behind it as one, too
    checked.parquet   no table, but a file whose pages have checksums

Each is a list of [order_id, amount, channel] by order, at its newest version; for
`orders` also under `orders@1`, at version 1. Exit code 3: deltalake is not installed.
"""

import datetime
import decimal
import json
import os
import shutil
import sys

try:
    import deltalake
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
except ImportError as error:
    print(f"skipped: {error}", file=sys.stderr)
    sys.exit(3)

NAMES = {
    "AWS_ENDPOINT": "aws_endpoint_url",
    "AWS_REGION": "aws_region",
    "AWS_ACCESS_KEY_ID": "aws_access_key_id",
    "AWS_SECRET_ACCESS_KEY": "aws_secret_access_key",
    "AWS_ALLOW_HTTP": "aws_allow_http",
    "AZURE_STORAGE_USE_EMULATOR": "azure_storage_use_emulator",
}
OPTIONS = {to: os.environ[name] for name, to in NAMES.items() if name in os.environ}
# Nobody else writes here.
OPTIONS["aws_s3_allow_unsafe_rename"] = "true"


def rows(ids, amount=lambda i: i, zone=None, **more):
    at = [datetime.datetime(2024, 1, 1 + i % 28, 10) for i in ids]
    money = [decimal.Decimal(amount(i)).quantize(decimal.Decimal("0.01")) for i in ids]
    columns = {
        "order_id": pa.array(ids, pa.int64()),
        "customer_id": pa.array([i % 5 for i in ids], pa.int64()),
        "ordered_at": pa.array(at, pa.timestamp("us", zone)),
        "amount": pa.array(money, pa.decimal128(18, 2)),
        "channel": pa.array(["web" if i % 2 else "shop" for i in ids]),
    }
    columns.update({name: pa.array([value] * len(ids)) for name, value in more.items()})
    return pa.table(columns)


def write(url, table, mode="append", **more):
    deltalake.write_deltalake(url, table, mode=mode, storage_options=OPTIONS, **more)
    return deltalake.DeltaTable(url, storage_options=OPTIONS)


def content(url, version=None):
    table = deltalake.DeltaTable(url, version=version, storage_options=OPTIONS)
    read = table.to_pyarrow_table(columns=["order_id", "amount", "channel"]).to_pylist()
    found = [[row["order_id"], str(row["amount"]), row["channel"]] for row in read]
    return sorted(found)


def main(url):
    told = {}

    orders = f"{url}/orders"
    write(orders, rows(range(1, 9)))
    table = write(orders, rows(range(9, 17)))
    table.delete("order_id = 3")
    table.update(updates={"amount": "cast(99 as decimal(18,2))"}, predicate="order_id = 4")
    write(orders, rows(range(17, 19), note="new"), schema_mode="merge")
    table = deltalake.DeltaTable(orders, storage_options=OPTIONS)
    table.optimize.compact()
    table.create_checkpoint()
    write(orders, rows(range(19, 21), note="newer"))
    told["orders"] = content(orders)
    told["orders@1"] = content(orders, 1)

    replaced = f"{url}/replaced"
    write(replaced, rows(range(1, 9), zone="UTC"))
    write(replaced, rows(range(5, 7), amount=lambda i: 2 * i, zone="UTC"), mode="overwrite")
    told["replaced"] = content(replaced)

    parted = f"{url}/parted"
    day = {"day": datetime.date(2024, 1, 5), "place": "a b/c=d%20é"}
    table = write(parted, rows(range(1, 9), **day), partition_by=["channel", "day", "place"])
    table.delete("channel = 'shop'")
    told["parted"] = content(parted)

    many = f"{url}/many"
    for i in range(1, 26):
        table = write(many, rows([i]))
        if i % 10 == 0:
            table.create_checkpoint()
    told["many"] = content(many)

    optimized = f"{url}/optimized"
    for i in range(1, 6):
        table = write(optimized, rows([i, i + 10]))
    table.optimize.compact()
    told["optimized"] = content(optimized)

    if "://" not in url:
        local(url)
        told.update({name: told["many"] for name in ("parts", "second", "compacted")})
        plain = {"use_dictionary": False, "compression": "none", "write_page_checksum": True}
        pq.write_table(rows(range(1, 9)), f"{url}/checked.parquet", **plain)

    json.dump(told, sys.stdout)


def local(url):
    """What deltalake reads and does not write, made of what it writes."""
    for name in ("parts", "second", "compacted"):
        shutil.copytree(f"{url}/many", f"{url}/{name}")
        log = f"{url}/{name}/_delta_log"
        os.remove(f"{log}/_last_checkpoint")
        os.remove(f"{log}/{9:020}.checkpoint.parquet")
        for version in range(20):
            os.remove(f"{log}/{version:020}.json")
    checkpoint = f"{19:020}.checkpoint"

    log = f"{url}/parts/_delta_log"
    actions = pq.read_table(f"{log}/{checkpoint}.parquet")
    half = actions.num_rows // 2
    for part, rows in enumerate((actions.slice(0, half), actions.slice(half)), start=1):
        pq.write_table(rows, f"{log}/{checkpoint}.{part:010}.{2:010}.parquet")
    os.remove(f"{log}/{checkpoint}.parquet")

    log = f"{url}/second/_delta_log"
    os.makedirs(f"{log}/_sidecars")
    actions = pq.read_table(f"{log}/{checkpoint}.parquet")
    adds = actions.filter(pc.is_valid(actions["add"])).select(["add"])
    sidecar = f"{log}/_sidecars/3a0d65cd-4056-49b8-937b-95f9e3ee90e5.parquet"
    pq.write_table(adds, sidecar)
    names = {"protocol": ["minReaderVersion", "minWriterVersion"], "metaData": []}
    other = [row for row in actions.select(list(names)).to_pylist() if any(row.values())]
    lines = [{"checkpointMetadata": {"version": 19}}]
    for row in other:
        if row["protocol"]:
            features = ["timestampNtz", "v2Checkpoint"]
            row["protocol"] = {
                "minReaderVersion": 3,
                "minWriterVersion": 7,
                "readerFeatures": features,
                "writerFeatures": features,
            }
        if row["metaData"]:
            row["metaData"]["configuration"] = dict(row["metaData"]["configuration"] or [])
            row["metaData"]["format"]["options"] = {}
        lines.append({name: action for name, action in row.items() if action})
    about = {"path": os.path.basename(sidecar), "sizeInBytes": os.path.getsize(sidecar)}
    lines.append({"sidecar": {**about, "modificationTime": 0}})
    with open(f"{log}/{checkpoint}.80a083e8-7026-4e79-81be-64bd76c43a11.json", "w") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    os.remove(f"{log}/{checkpoint}.parquet")

    log = f"{url}/compacted/_delta_log"
    with open(f"{log}/{20:020}.{23:020}.compacted.json", "w") as whole:
        for version in range(20, 24):
            with open(f"{log}/{version:020}.json") as commit:
                whole.writelines(line for line in commit if not line.startswith('{"commitInfo"'))


if __name__ == "__main__":
    main(sys.argv[1])
