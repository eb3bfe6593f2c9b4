"""The data: TPC-H orders, and histories of the same columns; made once and kept.

Every history has o_orderkey, o_custkey, o_orderdate and o_totalprice, so that one
pipeline and one SQL file read them all.
"""

import datetime
import pathlib
import shutil
import subprocess
import sys

import duckdb
import numpy
import pyarrow
import pyarrow.parquet

TPCH_LAST_DAY = "1998-08-02"
FIRST_DAY = datetime.date(2023, 1, 1)
DAYS = 3 * 365 + 1
SECOND = 1_000_000


class Histories:
    """A folder of histories."""

    def __init__(self, folder, tenure):
        self.folder = pathlib.Path(folder)
        self.tenure = tenure

    def tpch(self, millions):
        """The orders of TPC-H: a scale factor of 1 is 1.5 million."""
        folder = self.folder / f"tpch-{millions:g}m"
        tool = pathlib.Path(sys.executable).with_name("tpchgen-cli")
        scale = f"{millions / 1.5:.6g}"

        def make(into):
            command = [tool, "parquet", "-s", scale, "--tables", "orders", "--output-dir", into]
            subprocess.run(command, check=True, stdout=sys.stderr)

        return made_once(folder, make) / "orders.parquet"

    def summary(self, customers):
        """Frequency, recency and T in weeks and mean repeat spend, drawn by BG/NBD and
        Gamma-Gamma with the parameters of CDNOW; purchases of one day are one."""
        random = numpy.random.default_rng(customers)
        days = 273
        first = random.integers(0, 84 if customers < 10_000 else days - 7, customers)
        age = (days - first).astype(float)
        rate = random.gamma(0.2426, 1 / (4.4136 * 7), customers)
        drops = random.beta(0.7929, 2.4259, customers)
        now = numpy.zeros(customers)
        last_day = numpy.zeros(customers)
        frequency = numpy.zeros(customers, dtype=int)
        alive = rate > 1e-9
        while alive.any():
            now[alive] += random.exponential(1 / rate[alive])
            alive &= now <= age
            day = numpy.ceil(now)
            new = alive & (day > last_day) & (day <= age)
            frequency[new] += 1
            last_day[new] = day[new]
            alive &= random.random(customers) >= drops
        spend = random.gamma(3.744, 1 / 15.44, customers)
        shape = 6.25 * numpy.maximum(frequency, 1)
        mean = random.gamma(shape, 1 / (spend * numpy.maximum(frequency, 1)))
        mean = numpy.round(numpy.where(frequency > 0, numpy.maximum(mean, 0.01), 0), 2)
        path = self.folder / f"summary-{customers}.csv"
        lines = zip(frequency, last_day / 7, age / 7, mean)
        text = "".join(f"{x},{r:.9g},{t:.9g},{z:.2f}\n" for x, r, t, z in lines)
        self.folder.mkdir(parents=True, exist_ok=True)
        path.write_text("frequency,recency,T,mean\n" + text, encoding="utf-8")
        return path

    def with_ids(self, millions, kind):
        """The same orders in four columns, customers being numbers or texts."""
        customer = {"int": "o_custkey", "text": "format('C-{:07d}', o_custkey)"}[kind]
        source = self.tpch(millions)

        def make(into):
            duckdb.execute(
                f"copy (select o_orderkey, {customer} as o_custkey, o_orderdate, o_totalprice"
                f" from read_parquet('{source}'))"
                f" to '{into}/orders.parquet' (format parquet, compression zstd)"
            )

        return made_once(self.folder / f"{kind}-ids-{millions:g}m", make) / "orders.parquet"

    def blocks(self, millions, files, extra=0):
        """Three years in so many files of equal length in time, one a day say.

        As many customers as a tenth of the orders buy. `extra` files are a further day each.
        """
        orders = round(millions * 1e6)
        # An eighth more than that, for some of them never do.
        customers = orders * 9 // 80

        def make(into):
            generator = numpy.random.default_rng(files)
            key = 1
            for number in range(files + extra):
                rows = orders // files
                if number < files:
                    first, last = number * DAYS // files, (number + 1) * DAYS // files
                else:
                    first, last, rows = DAYS, DAYS + 1, orders // DAYS
                table = block(generator, key, rows, first, last, customers)
                path = into / f"orders-{number:05}.parquet"
                pyarrow.parquet.write_table(table, path, compression="zstd")
                key += rows

        return made_once(self.folder / f"blocks-{millions:g}m-{files}", make)

    def generated(self, customers, months):
        """The sales of a history that tenure generates: life-like, and small."""
        folder = self.folder / f"generated-{customers}-{months}"

        def make(into):
            size = ["--customers", str(customers), "--months", str(months), "--seed", "1"]
            command = [self.tenure, "generate", into / "all", *size]
            subprocess.run(command, check=True, stdout=sys.stderr)
            duckdb.execute(
                f"copy (select order_id as o_orderkey, customer_id as o_custkey,"
                f" ordered_at as o_orderdate, amount as o_totalprice"
                f" from read_parquet('{into}/all/orders/**/*.parquet') where kind = 'sale')"
                f" to '{into}/orders.parquet' (format parquet)"
            )

        return made_once(folder, make) / "orders.parquet"


def made_once(folder, make):
    """The folder, filled by `make` unless it is there; half of one never is."""
    if not folder.exists():
        print(f"making {folder}", file=sys.stderr)
        unfinished = folder.with_name(folder.name + ".part")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        make(unfinished)
        unfinished.rename(folder)
    return folder


def block(generator, key, rows, first, last, customers):
    """Orders of the days first..last, sorted by time.

    Customers join as time goes by. Half of the orders come from anybody, half rather
    from those who are there longest, so that lives differ in length and in density.
    """
    joined = customers * (0.1 + 0.9 * min(last, DAYS) / DAYS)
    chance = generator.random(rows)
    chance[::2] **= 2
    start = int((FIRST_DAY - datetime.date(1970, 1, 1)).days)
    seconds = generator.integers((start + first) * 86400, (start + last) * 86400, rows)
    cents = numpy.exp(generator.normal(8.5, 0.8, rows)).astype(numpy.int64)
    return pyarrow.table(
        {
            "o_orderkey": numpy.arange(key, key + rows),
            "o_custkey": (chance * joined).astype(numpy.int64) + 1,
            "o_orderdate": pyarrow.array(numpy.sort(seconds) * SECOND, pyarrow.timestamp("us")),
            "o_totalprice": money(cents),
        }
    )


def money(cents):
    """Whole cents as decimals, without a Python object each."""
    words = numpy.zeros((len(cents), 2), numpy.int64)
    words[:, 0] = cents
    buffers = [None, pyarrow.py_buffer(words)]
    return pyarrow.Array.from_buffers(pyarrow.decimal128(15, 2), len(cents), buffers)
