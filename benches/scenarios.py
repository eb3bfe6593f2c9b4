"""What is measured: a scenario returns the Markdown that says what came of it."""

import datetime
import glob
import json
import os
import pathlib
import shutil
import subprocess
import sys

import store
from compare import compare
from histories import DAYS, FIRST_DAY, TPCH_LAST_DAY, Histories
from measure import alternate, bar, gibibytes, measure, middle, table

HERE = pathlib.Path(__file__).parent
# As in the pipeline.
PIPELINE = HERE.parent / "pipelines" / "bench.yaml"
THREADS = 2
# Days to come for `nightly`, a run each.
EXTRA_DAYS = 10
# What `upload` uploads: a table of that size.
UPLOAD_BYTES = 1 << 30
FILES = {"duckdb": "run_duckdb.py", "polars": "polars_tables.py"}
NAMES = {"tenure": "tenure", "duckdb": "DuckDB", "polars": "Polars"}


def best(runs, command):
    """The run of a program that fitted fastest, as it tells in JSON."""
    command = [str(part) for part in command]
    told = [subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=HERE.parent)
            for _ in range(runs)]
    return min((json.loads(run.stdout.splitlines()[-1]) for run in told),
               key=lambda found: found["fit"])


class Bench:
    """The scenarios, and the ways to run each tool."""

    def __init__(self, options):
        self.tenure_path = options.tenure
        self.millions = options.millions
        self.runs = options.runs
        self.tools = options.tools
        self.work = options.folder / "work"
        self.histories = Histories(options.folder / "data", options.tenure)
        fresh(self.work)

    # Scenarios

    def values(self):
        """Do the tools agree? Small histories, so that every value is looked at."""
        cases = {
            "generated, the month is over": (self.histories.generated(2000, 24), "2025-12-31"),
            "generated, within a month": (self.histories.generated(2000, 24), "2025-11-17"),
            "TPC-H orders": (self.histories.tpch(0.15), TPCH_LAST_DAY),
        }
        rows, findings = [], []
        for name, (orders, as_of) in cases.items():
            self.tenure(orders, as_of)
            ours = published(self.work / "warehouse")
            for tool in ("duckdb", "polars"):
                self.other(tool, orders, as_of)
                found, summary = compare(ours, files_of(self.work / tool))
                rows.append([name, NAMES[tool], summary, len(found)])
                findings += [f"- {name}, {NAMES[tool]}: {line}" for line in found]
        header = ["Values", "against", "compared", "differ"]
        return "\n".join(["### values", "", table(header, rows), "", *findings])

    def full(self):
        """Everything from scratch over TPC-H orders, beside the others and the floor."""
        orders = self.histories.tpch(self.millions)
        contestants = {tool: self.contestant(tool, orders, TPCH_LAST_DAY) for tool in self.tools}
        results = self.less_start_up(alternate(self.runs, contestants))
        base = results.get("duckdb", next(iter(results.values())))
        rows = [
            [
                name_with_tables(tool, self.work),
                f"{result.seconds:.2f}",
                f"{result.seconds / base.seconds:.2f}",
                f"{result.cpu_seconds:.1f}",
                gibibytes(result.peak_bytes),
            ]
            for tool, result in results.items()
        ]
        lines = []
        if "tenure" in results:
            scan, write = self.floor(orders)
            floor = scan + write
            rows.append(["floor", f"{floor:.2f}", f"{floor / base.seconds:.2f}", "", ""])
            lines.append(
                f"- the floor is {scan:.2f} s to scan the columns, {write:.2f} s to write"
                f" the tables; tenure takes {results['tenure'].seconds / floor:.1f} times as long"
            )
        if {"tenure", "duckdb"} <= results.keys():
            ours = results["tenure"]
            memory = ours.peak_bytes / base.peak_bytes
            lines.append(bar("time, tenure / DuckDB", ours.seconds / base.seconds, 0.5))
            lines.append(bar("peak memory, tenure / DuckDB", memory, 1))
            # Less at the mercy of whoever else uses the machine.
            cpu = ours.cpu_seconds / base.cpu_seconds
            lines.append(f"- CPU seconds, tenure / DuckDB: {cpu:.2f}")
        header = ["Tables from", "seconds", "/ DuckDB", "CPU seconds", "peak GiB"]
        title = f"### full: TPC-H, {self.millions:g} million orders"
        return "\n".join([title, "", table(header, rows), "", *lines])

    def steps(self):
        """Where a full run's time goes: the steps that take a fiftieth of it or more."""
        result = self.tenure(self.histories.tpch(self.millions), TPCH_LAST_DAY, None, "json")
        steps = seconds_of_steps(result.said)
        total = sum(steps.values())
        rows = sorted(steps.items(), key=lambda step: -step[1])
        rows = [
            [name, f"{seconds:.2f}", f"{seconds / total:.0%}"]
            for name, seconds in rows
            if seconds >= total / 50
        ]
        title = f"### steps: TPC-H, {self.millions:g} million orders, {total:.1f} s in all"
        return "\n".join([title, "", table(["Step", "seconds", "share"], rows)])

    def nightly(self):
        """One more day's file on three years of them, against building all again."""
        history = self.histories.blocks(self.millions, DAYS, EXTRA_DAYS)
        files = sorted(history.glob("*.parquet"))
        orders = fresh(self.work / "nightly")
        for file in files[:DAYS]:
            os.link(file, orders / file.name)
        kept = self.work / "kept"
        first = self.tenure(orders, last_day(0), fresh(kept))
        nightly, refresh = [], []
        for number in range(1, self.runs + 1):
            file = files[DAYS + number - 1]
            os.link(file, orders / file.name)
            nightly.append(self.tenure(orders, last_day(number), kept))
            refresh.append(self.tenure(orders, last_day(number)))
            pair = f"{nightly[-1].seconds:.2f} s, all again {refresh[-1].seconds:.2f} s"
            print(f"  {number}/{self.runs} one more day: {pair}", file=sys.stderr)
        results = {"one more day": middle(nightly), "all again": middle(refresh)}
        rows = [["first run", *shown(first)]]
        rows += [[name, *shown(result)] for name, result in results.items()]
        ratio = results["one more day"].seconds / results["all again"].seconds
        title = f"### nightly: {DAYS} daily files, {self.millions:g} million orders"
        lines = [bar("one more day / all again", ratio, 0.15)]
        return "\n".join([title, "", table(["Run", *SHOWN], rows), "", *lines])

    def unchanged(self):
        """The same run again, when nothing has changed."""
        orders = self.histories.tpch(self.millions)
        kept = self.work / "kept"
        first = self.tenure(orders, TPCH_LAST_DAY, fresh(kept))
        again = [self.tenure(orders, TPCH_LAST_DAY, kept) for _ in range(self.runs)]
        result = middle(again)
        rows = [["first run", *shown(first)], ["the same again", *shown(result)]]
        lines = [bar("the same again", result.seconds * 1000, 200, " ms")]
        if result.read_bytes is not None:
            read = result.read_bytes / 2**20
            lines.append(f"- read in all, manifests and listings included: {read:.2f} MiB")
        title = f"### unchanged: TPC-H, {self.millions:g} million orders"
        return "\n".join([title, "", table(["Run", *SHOWN], rows), "", *lines])

    def text_ids(self):
        """Customers that are texts, against the same customers as numbers."""
        contestants = {
            kind: self.contestant(
                "tenure", self.histories.with_ids(self.millions, kind), TPCH_LAST_DAY
            )
            for kind in ("int", "text")
        }
        results = alternate(self.runs, contestants)
        rows = [[f"{kind} ids", *shown(result)] for kind, result in results.items()]
        ratio = results["text"].seconds / results["int"].seconds
        title = f"### text_ids: TPC-H, {self.millions:g} million orders"
        lines = [bar("text / int", ratio, 1.5)]
        return "\n".join([title, "", table(["Run", *SHOWN], rows), "", *lines])

    def large(self):
        """A hundred million orders of ten million customers in 4 GiB."""
        sizes = (15, 100)
        histories = {size: self.histories.blocks(size, 36) for size in sizes}
        results = {size: self.tenure(path, last_day(0)) for size, path in histories.items()}
        rows = [[f"{size} million orders", *shown(results[size])] for size in sizes]
        per_order = results[100].seconds / results[15].seconds * 15 / 100
        lines = [
            bar("peak memory", results[100].peak_bytes / 2**30, 6, " GiB"),
            bar("time per order, 100 million / 15 million", per_order, 1),
        ]
        title = "### large: 10 million customers, engine.memory 4GiB"
        return "\n".join([title, "", table(["Run", *SHOWN], rows), "", *lines])

    def upload(self):
        """A file into SeaweedFS as tenure stages a table, beside plain copies of it."""
        program = built("upload")
        file = incompressible(self.work / "table.parquet", UPLOAD_BYTES)
        orders = self.histories.tpch(self.millions)
        with store.seaweedfs(fresh(self.work / "seaweedfs")) as env:
            url = f"s3://{store.BUCKET}"
            ways = {
                "as tenure stages it": [program, "tenure", f"{url}/staged", file],
                "copied by its client": [program, "copy", f"{url}/copied", file],
                "copied by boto3": [sys.executable, HERE / "copy_boto3.py", store.BUCKET,
                                    "boto3.parquet", file],
            }  # fmt: skip
            results = alternate(self.runs, {
                name: lambda command=command: uploaded(command, env)
                for name, command in ways.items()
            })
            there = self.tenure(orders, TPCH_LAST_DAY, f"{url}/shop", env=env)
        here = self.tenure(orders, TPCH_LAST_DAY)
        speed = {name: UPLOAD_BYTES / 2**20 / result.seconds for name, result in results.items()}
        rows = [
            [name, f"{result.seconds:.1f}", f"{speed[name]:.0f}", f"{result.cpu_seconds:.1f}",
             f"{result.peak_bytes / 2**20:.0f}"]
            for name, result in results.items()
        ]  # fmt: skip
        ours, *plain = speed.values()
        lines = [
            bar("throughput, tenure / the faster copy", ours / max(plain), 0.8, at_least=True),
            f"- a whole run, {self.millions:g} million orders: peak {gibibytes(there.peak_bytes)}"
            f" GiB to the store, {gibibytes(here.peak_bytes)} GiB to the disk",
        ]
        header = [f"{UPLOAD_BYTES / 2**30:g} GiB to SeaweedFS", "seconds", "MiB/s", "CPU seconds",
                  "peak MiB"]  # fmt: skip
        return "\n".join(["### upload", "", table(header, rows), "", *lines])

    def models(self):
        """BG/NBD and Gamma-Gamma: fit and predictions, beside lifetimes."""
        rows, lines = [], []
        for customers in (2357, 1_000_000):
            summary = self.histories.summary(customers)
            ours = best(self.runs, ["cargo", "bench", "--quiet", "--locked", "--bench", "clv",
                                    "--", summary])
            theirs = best(1 if customers > 100_000 else self.runs,
                          [sys.executable, HERE / "run_lifetimes.py", summary])
            for name, found in (("tenure", ours), ("lifetimes", theirs)):
                numbers = [f"{found[key]:.4f}" for key in ("fit", "spend", "predict")]
                rows.append([f"{customers:,}", name, *numbers, f"{found['total']:,.0f}"])
            lines.append(bar(f"fit, lifetimes / tenure, {customers:,} customers",
                             theirs["fit"] / ours["fit"], 50, at_least=True))
        header = ["Customers", "by", "fit, s", "spend, s", "predictions, s", "value of all"]
        return "\n".join(["### models", "", table(header, rows), "", *lines])

    # Tools

    def contestant(self, tool, orders, as_of):
        """A tool's run as something that can be called again and again."""
        if tool == "tenure":
            return lambda: self.tenure(orders, as_of)
        return lambda: self.other(tool, orders, as_of)

    def tenure(self, orders, as_of, warehouse=None, log=None, env=None):
        """One run of tenure, from scratch unless the warehouse is given."""
        target = warehouse or fresh(self.work / "warehouse")
        env = {"ORDERS_URL": str(orders), "WAREHOUSE_URL": str(target), **(env or {})}
        command = [self.tenure_path, "run", PIPELINE, "--as-of", as_of]
        return measure(command + (["--log", log] if log else []), env)

    def other(self, tool, orders, as_of):
        """One run of another tool, from scratch."""
        out = fresh(self.work / tool)
        command = [sys.executable, HERE / FILES[tool], orders, out, as_of, THREADS]
        return measure(command, {"POLARS_MAX_THREADS": str(THREADS)})

    def less_start_up(self, results):
        """What Python and its libraries take to start is not held against them."""
        for tool in results.keys() & FILES.keys():
            start = [measure([sys.executable, "-c", f"import {tool}"]) for _ in range(3)]
            results[tool].seconds -= middle(start).seconds
        return results

    def floor(self, orders):
        """Seconds to scan the columns, and to write what tenure has just published."""
        out = fresh(self.work / "floor")
        command = [HERE / "floor.py", orders, self.work / "warehouse", out, THREADS]
        best = [float("inf"), float("inf")]
        for _ in range(self.runs):
            measure([sys.executable, *command])
            seconds = [float(word) for word in (out / "seconds").read_text().split()]
            best = [min(pair) for pair in zip(best, seconds)]
        return best


def seconds_of_steps(log):
    """Step → seconds, from a log: a step lasts until the next event."""
    events = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    times = [datetime.datetime.fromisoformat(event["time"]) for event in events]
    steps = {}
    for event, begin, end in zip(events, times, times[1:]):
        # What follows a table or a check is the next one, or publishing them all.
        names = {"started": "starting", "working": event.get("name")}
        name = names.get(event["event"], "publishing")
        steps[name] = steps.get(name, 0) + (end - begin).total_seconds()
    return steps


def built(name):
    """The program of a Cargo benchmark, whose own memory counts and not Cargo's."""
    command = ["cargo", "bench", "--quiet", "--locked", "--no-run", "--bench", name,
               "--message-format=json"]  # fmt: skip
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=HERE.parent)
    messages = [json.loads(line) for line in told.stdout.splitlines() if line.startswith("{")]
    return next(message["executable"] for message in messages
                if message.get("executable") and message["target"]["name"] == name)


def incompressible(path, length):
    """A file that is as hard to pack as one that is packed."""
    with open(path, "wb") as file:
        for _ in range(length >> 20):
            file.write(os.urandom(1 << 20))
    return path


def uploaded(command, env):
    """A program that uploads; its seconds are those that it tells, without its start."""
    result = measure(command, env)
    result.seconds = json.loads(result.said.splitlines()[-1])["seconds"]
    return result


SHOWN = ["seconds", "CPU seconds", "peak GiB"]


def shown(result):
    """A measure's cells under SHOWN."""
    seconds = f"{result.seconds:.2f}"
    return [seconds, f"{result.cpu_seconds:.1f}", gibibytes(result.peak_bytes)]


def name_with_tables(tool, work):
    """A tool's name, and how many tables it made if that is not all of them."""
    if tool == "polars":
        return f"Polars ({len(files_of(work / tool))} of the tables)"
    return NAMES[tool]


def fresh(folder):
    """The folder, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def files_of(folder):
    """Table → file, of what DuckDB or Polars have written."""
    return {path.name.removesuffix(".parquet"): str(path) for path in folder.glob("*.parquet")}


def published(warehouse):
    """Table → files, of what tenure has published; for tables of the pipeline."""
    lines = PIPELINE.read_text(encoding="utf-8").splitlines()
    names = [line.strip()[2:] for line in lines if line.startswith("  - ")]
    folders = {name: f"{warehouse}/{name.split('.')[1]}/as_of=*" for name in names}
    return {name: f"{glob.glob(folder)[0]}/*.parquet" for name, folder in folders.items()}


def last_day(number):
    """The last day of the generated history, or a day that comes so many days later."""
    return str(FIRST_DAY + datetime.timedelta(days=DAYS - 1 + number))
