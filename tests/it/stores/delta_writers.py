"""Writes Delta tables as other programs do, for tenure to read.

    delta_writers.py URL   tables below URL; prints what counts in each as JSON

    orders/       written, a row deleted, one changed, compacted; a checkpoint and more
    replaced/     written, and overwritten by other rows
    parted/       in folders by channel and day, of which one was deleted
    many/         commits enough for several checkpoints, old logs removed
    optimized/    many small files that became one, the small ones still there

Each is a list of [order_id, amount, channel] by order, at its newest version; for
`orders` also under `orders@1`, at version 1. Exit code 3: deltalake is not installed.
"""

import datetime
import decimal
import json
import os
import sys

try:
    import deltalake
    import pyarrow as pa
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

    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
