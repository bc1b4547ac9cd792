#!/usr/bin/env python3
"""file -> once -> file: onceflow beside `cp` + sync and DuckDB, in turn, on one machine.

    python3 bench/once.py --onceflow PATH [--events 2000000] [--rounds 5] [--folder DIR]

Prints a Markdown table: medians of wall and CPU seconds (user + system, by the kernel's account of
the finished process), peak memory, and ratios of medians. DuckDB is taken from the Python that runs
this script (`pip install duckdb`); without it its row is reported as skipped.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

DUCKDB = """
import duckdb, sys
source, target = sys.argv[1:]
base = duckdb.connect()
base.execute("set threads to 2")
base.execute(
    f"copy (select distinct on (event_uuid) * from read_ndjson('{source}')) to '{target}' (format json)"
)
descriptor = __import__("os").open(target, 0)
__import__("os").fsync(descriptor)
"""

COPY = """
import os, subprocess, sys
source, target = sys.argv[1:]
subprocess.run(["cp", source, target], check=True)
descriptor = os.open(target, os.O_RDWR)
os.fsync(descriptor)
"""

PIPE = """pipe: bench
source: {{ file: {{ path: {source} }} }}
dedup: {{ key: $.event_uuid, window: 10m }}
sink: {{ file: {{ path: {target} }} }}
"""


def timed(command):
    """Wall seconds, CPU seconds and peak MiB of one process, its children included."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command} ended with {process.returncode}: {error.decode()[-2000:]}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--onceflow", required=True)
    arguments.add_argument("--events", type=int, default=2_000_000)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--folder", default=None)
    options = arguments.parse_args()

    folder = tempfile.mkdtemp(prefix="onceflow-bench-", dir=options.folder)
    try:
        run(options, folder)
    finally:
        shutil.rmtree(folder)


def run(options, folder):
    source = os.path.join(folder, "app.ndjson")
    here = os.path.dirname(os.path.abspath(__file__))
    subprocess.run(
        [options.onceflow, "generate", os.path.join(here, "..", "examples", "event_config.yml"),
         "--events", str(options.events), "--duplicates", "10%", "--seed", "1", "--out", source],
        check=True, stdout=subprocess.DEVNULL,
    )
    size = os.path.getsize(source)
    target, data = os.path.join(folder, "out.ndjson"), os.path.join(folder, "data")
    config = os.path.join(folder, "pipe.yaml")
    with open(config, "w") as file:
        file.write(PIPE.format(source=source, target=target))

    jobs = {
        "`cp` + sync": [sys.executable, "-c", COPY, source, target],
        "onceflow run": [options.onceflow, "run", config, "--data-dir", data],
    }
    try:
        import duckdb
        jobs[f"DuckDB {duckdb.__version__}, 2 threads"] = [sys.executable, "-c", DUCKDB, source, target]
    except ImportError:
        print("skipped: DuckDB (pip install duckdb)", file=sys.stderr)

    figures = {name: [] for name in jobs}
    kept = set()
    for turn in range(options.rounds + 1):
        for name, command in jobs.items():
            shutil.rmtree(data, ignore_errors=True)
            if os.path.exists(target):
                os.remove(target)
            os.sync()
            figure = timed(command)
            if turn > 0:  # the first turn warms the page cache
                figures[name].append(figure)
            if name == "onceflow run":
                with open(target, "rb") as file:
                    kept.add(sum(1 for _ in file))

    median = lambda name, of: statistics.median(figure[of] for figure in figures[name])
    base = median("`cp` + sync", 0)
    print(f"{options.events} events, {size / options.events:.0f} B each, {size / 1e6:.0f} MB, "
          f"10 % duplicates, {kept} rows kept, {options.rounds} rounds in turn, medians\n")
    print("| | wall s | min–max | CPU s | peak MiB | wall ÷ `cp` + sync | events/s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in jobs:
        wall, cpu, peak = (median(name, of) for of in range(3))
        walls = [figure[0] for figure in figures[name]]
        print(f"| {name} | {wall:.2f} | {min(walls):.2f}–{max(walls):.2f} | {cpu:.2f} | {peak:.0f} "
              f"| {wall / base:.2f} | {options.events / wall:,.0f} |")


main()
