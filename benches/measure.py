"""Measures whole processes, and prints what came of it."""

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time


@dataclasses.dataclass
class Measure:
    """One process: what it took, from its start to its end."""

    seconds: float
    peak_bytes: int
    cpu_seconds: float
    read_bytes: int | None
    said: str = dataclasses.field(default="", repr=False)


def measure(command, env=None):
    """Runs a command in a process of its own; stops everything if it fails.

    Linux counts the memory of whoever starts a process towards its peak, so a small
    process does: this file, run as a program.
    """
    command = [str(part) for part in command]
    starter = [sys.executable, "-S", __file__, *command]
    process = subprocess.run(
        starter, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE, text=True
    )
    said, _, measured = process.stdout.rpartition("\n")
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{said}")
    return Measure(**{**json.loads(measured), "said": said})


def start(command):
    """Runs a command, and prints what it said and, in the last line, what it took."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = process.stdout.read()
    # Looked at before it is reaped, while its counters are still there.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    seconds = time.perf_counter() - begin
    read_bytes = bytes_read(process.pid)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu = usage.ru_utime + usage.ru_stime
    result = Measure(seconds, usage.ru_maxrss * 1024, cpu, read_bytes)
    sys.stdout.write(said.decode(errors="replace"))
    print("\n" + json.dumps(dataclasses.asdict(result)), end="", flush=True)
    return process.returncode


def bytes_read(pid):
    """What a process has read in all, from files or their cache; None if not told."""
    try:
        with open(f"/proc/{pid}/io", encoding="ascii") as lines:
            counters = dict(line.split(": ") for line in lines)
        return int(counters["rchar"])
    except (OSError, KeyError, ValueError):
        return None


def middle(measures):
    """The medians of several measures; of memory and bytes read, the highest."""
    reads = [measure.read_bytes for measure in measures if measure.read_bytes is not None]
    return Measure(
        statistics.median(measure.seconds for measure in measures),
        max(measure.peak_bytes for measure in measures),
        statistics.median(measure.cpu_seconds for measure in measures),
        max(reads, default=None),
    )


def alternate(runs, contestants):
    """Every contestant `runs` times, one after another and again: name → medians.

    So a machine that is slow for a while is slow for all of them.
    """
    measures = {name: [] for name in contestants}
    for number in range(runs):
        for name, run in contestants.items():
            result = run()
            measures[name].append(result)
            print(f"  {number + 1}/{runs} {name}: {result.seconds:.2f} s", file=sys.stderr)
    return {name: middle(results) for name, results in measures.items()}


def table(header, rows):
    """A Markdown table, aligned: the first column left, the others right."""
    cells = [header, *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]

    def line(row):
        pairs = list(zip(row, widths))
        first, *rest = [cell.ljust(width) for cell, width in pairs[:1]] + [
            cell.rjust(width) for cell, width in pairs[1:]
        ]
        return "| " + " | ".join([first, *rest]) + " |"

    marks = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    return "\n".join([line(header), line(marks), *map(line, cells[1:])])


def bar(text, value, bound, unit="", at_least=False):
    """A line that says what was asked for and whether it is met."""
    verdict = "met" if (value >= bound if at_least else value <= bound) else "not met"
    shown = f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    asked = "at least" if at_least else "at most"
    return f"- {text}: **{shown}{unit}**, {asked} {bound:g}{unit}: {verdict}"


def gibibytes(count):
    """Bytes as GiB with two decimals."""
    return f"{count / 2**30:.2f}"


if __name__ == "__main__":
    sys.exit(start(sys.argv[1:]))
