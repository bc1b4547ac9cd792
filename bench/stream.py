#!/usr/bin/env python3
"""A filled embedded stream -> once -> lake staging: events a second, CPU seconds; and `serve` idle.

    python3 bench/stream.py --onceflow PATH [--events 2000000] [--rounds 5] [--folder DIR]

The stream (4 shards; limits of shards off) is filled over the wire once, with a tenth exact copies.
Each round is a new pipe with a scope and a lake of its own, in a process of its own: it reads the
stream from its oldest record and is measured from the start of the process until every event is
committed, so opening the data folder is in it. Beside it, in turn: reading the stream's files and
writing them elsewhere, synced (`cp` + sync).
"""
import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

PIPE = """pipe: {name}
source: {{ kinesis: {{ stream: app-events, shards: 4, start: trim_horizon }} }}
envelope: {{ type: $.event_name }}
dedup: {{ key: $.event_uuid, window: 1h }}
sink: {{ lake: {{ path: {lake}, compact: on_request }} }}
"""


class Served:
    """`onceflow serve`, running."""

    def __init__(self, options, data, *words):
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [options.onceflow, "serve", *words, "--listen", "127.0.0.1:0", "--data-dir", data,
             "--shard-records-in-per-s", "0"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for line in self.process.stderr:
            if line.startswith("listening on "):
                self.at = line.split()[2].rstrip(",")
                return
        sys.exit("serve ended")

    def metrics(self):
        with urllib.request.urlopen(f"{self.at}/metrics") as page:
            return page.read().decode()

    def settled(self, pipe):
        found = re.findall(
            rf'onceflow_events_total{{pipe="{pipe}",outcome="\w+"}} (\d+)', self.metrics()
        )
        return sum(map(int, found))

    def resident_mib(self):
        return int(re.search(r"onceflow_memory_bytes (\d+)", self.metrics()).group(1)) / 2**20

    def stop(self):
        """CPU seconds and peak MiB of its whole life."""
        self.process.send_signal(signal.SIGTERM)
        said = self.process.stderr.read()
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if self.process.returncode != 0:
            sys.exit(f"serve ended with {self.process.returncode}: {said}")
        return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def fill(options, data):
    here = os.path.dirname(os.path.abspath(__file__))
    served = Served(options, data, )
    subprocess.run(
        ["python3", "-c", "import sys, urllib.request as u; u.urlopen(u.Request(sys.argv[1], "
         "b'{\"StreamName\":\"app-events\",\"ShardCount\":4}', {'Content-Type': "
         "'application/x-amz-json-1.1', 'X-Amz-Target': 'Kinesis_20131202.CreateStream'}))",
         served.at], check=True,
    )
    began = time.perf_counter()
    subprocess.run(
        [options.onceflow, "generate", os.path.join(here, "..", "examples", "event_config.yml"),
         "--events", str(options.events), "--duplicates", "10%", "--seed", "1",
         "--to", "stream:app-events", "--endpoint", served.at],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    took = time.perf_counter() - began
    cpu, _ = served.stop()
    print(f"filled over the wire in {took:.1f} s, {options.events / took:,.0f} events/s; "
          f"{cpu:.1f} CPU s of the server\n")


def one_round(options, folder, data, number):
    name = f"round-{number}"
    config = os.path.join(folder, f"{name}.yaml")
    with open(config, "w") as file:
        file.write(PIPE.format(name=name, lake=os.path.join(folder, f"lake-{number}")))
    served = Served(options, data, config)
    while served.settled(name) < options.events:
        time.sleep(0.02)
    wall = time.perf_counter() - served.began
    cpu, peak = served.stop()
    shutil.rmtree(os.path.join(folder, f"lake-{number}"))
    return wall, cpu, peak


def copy(folder, data):
    streams = os.path.join(data, "broker", "streams")
    target = os.path.join(folder, "copy")
    began = time.perf_counter()
    before = os.times()
    subprocess.run(["cp", "-r", streams, target], check=True)
    subprocess.run(["sync", "-f", target], check=True)
    after = os.times()
    wall = time.perf_counter() - began
    shutil.rmtree(target)
    cpu = after.children_user + after.children_system
    return wall, cpu - before.children_user - before.children_system, 0.0


def idle(options, folder):
    here = os.path.dirname(os.path.abspath(__file__))
    for example in ("iot.yaml", "learning-app.yaml"):
        shutil.copy(os.path.join(here, "..", "examples", example), folder)
    served = Served(options, os.path.join(folder, "idle"),
                    *(os.path.join(folder, name) for name in ("iot.yaml", "learning-app.yaml")))
    time.sleep(3)
    resident = served.resident_mib()
    _, peak = served.stop()
    print(f"\n`serve` with both examples, idle: {resident:.0f} MiB resident, {peak:.0f} MiB at most")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--onceflow", required=True)
    arguments.add_argument("--events", type=int, default=2_000_000)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--folder", default=None)
    options = arguments.parse_args()
    folder = tempfile.mkdtemp(prefix="onceflow-bench-", dir=options.folder)
    try:
        data = os.path.join(folder, "data")
        fill(options, data)
        rows = {"`cp` + sync of the stream's files": [], "stream → once → staging": []}
        for number in range(options.rounds):
            rows["`cp` + sync of the stream's files"].append(copy(folder, data))
            rows["stream → once → staging"].append(one_round(options, folder, data, number))
        print("| | wall s | min–max | CPU s | peak MiB | events/s |\n| --- | --- | --- | --- | --- | --- |")
        for name, found in rows.items():
            walls = sorted(wall for wall, _, _ in found)
            wall = statistics.median(walls)
            cpu = statistics.median(cpu for _, cpu, _ in found)
            peak = statistics.median(peak for _, _, peak in found)
            print(f"| {name} | {wall:.2f} | {walls[0]:.2f}–{walls[-1]:.2f} | {cpu:.2f} "
                  f"| {peak:.0f} | {options.events / wall:,.0f} |")
        idle(options, folder)
    finally:
        shutil.rmtree(folder)


main()
