"""Compaction side by side with DuckDB: the same staging files, the same threads, in turns.

    cargo bench -p lake --bench compact --no-run     # says where the program is
    $ONCEFLOW_PYTHON bench/compact.py PROGRAM [--events 2000000] [--rounds 5] [--threads 2]

DuckDB reads the NDJSON, sorts by time and writes Parquet (zstd) by year, month, day and language.
Onceflow does that and writes what the sidecars say of each row (key, recorded time, place) as well;
syncs its files; and looks for keys that are there twice. It runs with its default memory, past
which it spills, and with as much as it likes.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

DUCKDB = """
import duckdb, json, resource, sys, time
files, out, threads = sys.argv[1:4]
con = duckdb.connect()
con.execute(f"set threads={threads}")
con.execute("set enable_progress_bar=false")
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
start, before = time.perf_counter(), cpu()
con.execute(f'''copy (
    select *, year(created_at::timestamp) y, month(created_at::timestamp) m, day(created_at::timestamp) d,
        event_specifics.language_id lang
    from read_json('{files}', format='newline_delimited') order by created_at
) to '{out}' (format parquet, partition_by (y, m, d, lang), compression zstd)''')
print(json.dumps({"wall_s": time.perf_counter() - start, "cpu_s": cpu() - before,
    "memory_peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, "version": duckdb.__version__}))
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="onceflow-bench-"))
    try:
        measure(options, work)
    finally:
        shutil.rmtree(work)


def measure(options, work):
    lake, copy, out = work / "lake", work / "copy", work / "duckdb"
    subprocess.run([options.program, "prepare", lake, str(options.events)], check=True)

    def onceflow(memory_mib):
        shutil.rmtree(copy, ignore_errors=True)
        subprocess.run(["cp", "-al", lake, copy], check=True)
        command = [options.program, "compact", copy, str(options.threads), str(memory_mib)]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

    def duckdb(_):
        shutil.rmtree(out, ignore_errors=True)
        files = f"{lake}/**/*.ndjson"
        command = [sys.executable, "-c", DUCKDB, files, out, str(options.threads)]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

    ways = {"duckdb": (duckdb, 0), "onceflow": (onceflow, 256), "onceflow, all in memory": (onceflow, 8192)}
    runs = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, (way, argument) in ways.items():
            runs[name].append(way(argument))
    for name, seen in runs.items():
        median = {key: statistics.median(run[key] for run in seen) for key in ("wall_s", "cpu_s", "memory_peak_kib")}
        print(f"{name:24} {median['wall_s']:7.2f} s  {median['cpu_s']:7.2f} CPU s  {median['memory_peak_kib'] / 1024:6.0f} MiB")


main()
