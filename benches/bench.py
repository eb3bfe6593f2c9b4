"""`make bench`: tenure, DuckDB and Polars on the same tables; see README.md here.

Prints Markdown for docs/performance.md, and adds it to target/bench/results.md.
"""

import argparse
import datetime
import os
import pathlib
import platform
import shutil
import sys

import scenarios

ORDER = ["values", "full", "steps", "nightly", "unchanged", "text_ids", "models", "upload", "large"]
# The last takes minutes and tens of gigabytes, so one has to ask for it.
DEFAULT = ORDER[:-1]


def main():
    """Runs the scenarios that were asked for, one after another."""
    options = arguments()
    bench = scenarios.Bench(options)
    report = [heading(options)]
    for name in options.scenario:
        print(f"{name} …", file=sys.stderr)
        report.append(getattr(bench, name)())
        print(report[-1], flush=True)
        print()
    results = options.folder / "results.md"
    with open(results, "a", encoding="utf-8") as file:
        file.write("\n\n".join(report) + "\n\n")
    print(f"added to {results}", file=sys.stderr)


def arguments():
    """The command line, as the Makefile writes it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenure", type=pathlib.Path, required=True)
    parser.add_argument("--folder", type=pathlib.Path, default="target/bench")
    parser.add_argument("--millions", type=float, default=15)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tools", default="tenure,duckdb,polars")
    parser.add_argument("--scenario", default="default")
    options = parser.parse_args()
    options.tenure = options.tenure.resolve()
    options.folder = options.folder.resolve()
    options.tools = options.tools.replace(",", " ").split()
    names = options.scenario.replace(",", " ").split()
    options.scenario = DEFAULT if names == ["default"] else ORDER if names == ["all"] else names
    unknown = set(options.scenario) - set(ORDER)
    if unknown:
        parser.error(f"no scenario {', '.join(unknown)}; there are {', '.join(ORDER)}, all")
    if not 1 <= options.runs <= scenarios.EXTRA_DAYS:
        parser.error(f"--runs is 1 to {scenarios.EXTRA_DAYS}")
    return options


def heading(options):
    """When and on what: a number means nothing without it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    free = shutil.disk_usage(options.folder).free / 2**30
    load = os.getloadavg()[0]
    text = (
        f"## {datetime.date.today()}: {cores} cores, {memory:.0f} GiB, {platform.machine()}\n\n"
        f"{scenarios.THREADS} threads each; medians of {options.runs} runs, tools alternating."
    )
    print(text, end="\n\n", flush=True)
    print(f"{free:.0f} GiB free on disk, load {load:.1f} before the start", file=sys.stderr)
    return text


if __name__ == "__main__":
    main()
