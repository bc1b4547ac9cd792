#!/usr/bin/env python3
"""What protection costs, and what a sink that is down for ten minutes does.

    python3 bench/delivery.py --onceflow PATH [--events 2000000] [--rounds 5] [--folder DIR]
    python3 bench/delivery.py --onceflow PATH --outage [--per-second 10000] [--minutes 10]

Protection: one file goes through two pipes in turn, into a lake. One has nothing that it can do
without (no archive, no order, no routes), the other one everything: an archive of all that came,
routes by pattern, an order by field, retries, dead letters. What can't be taken off is in both:
positions, keys and counters of each record.

Outage: events are put into an embedded stream as fast as ten minutes of the test clock bring them,
while nobody listens at the pipe's HTTP sink; then somebody does. Memory is looked at meanwhile, and
what arrives is counted by number. Beside it, the same events with the sink there from the start.
"""
import argparse
import http.server
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

SPEC = """types: { play: 6, pay: 3, stop: 1 }
common:
  id: uuid
  number: sequence
  user: { pattern: "usr_####" }
  at: epoch_millis
  note: sentence
key: id
"""

BARE = """pipe: bare
source: { file: { path: events.ndjson } }
envelope: { type: $.event_name }
dedup: { key: $.id, window: 1h }
sink: { lake: { path: lake-bare, compact: on_request } }
"""

PROTECTED = """pipe: protected
source: { file: { path: events.ndjson } }
envelope: { type: $.event_name }
dedup: { key: $.id, window: 1h }
sinks:
- lake: { path: lake-protected, compact: on_request, match: { id: [{ exists: true }] } }
retry: { attempts_max: 5, age_max: 1d, backoff: 200ms..30s }
order_by: $.user
dead_letter: { store: dead, replays_max: 3 }
archive: { path: archive, events: received, retention: 30d }
"""

OUTAGE = """pipe: outage
source: { kinesis: { stream: events, shards: 4, start: trim_horizon } }
dedup: { key: $.id, window: 1h }
sink:
  http:
    url: http://127.0.0.1:%d/
    timeout: 5s
    batch: { events_max: 5000, bytes_max: 4MiB, body: ndjson }
    circuit: { failures_max: 10, pause: 1s..30s }
"""


def timed(words, folder):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
    return time.perf_counter() - began, cpu


def write(folder, name, text):
    with open(os.path.join(folder, name), "w") as file:
        file.write(text)


def generate(options, folder, events, *words):
    write(folder, "spec.yml", SPEC)
    subprocess.run([options.onceflow, "generate", "spec.yml", "--events", str(events),
                    "--duplicates", "10%", *words], cwd=folder, check=True,
                   stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def protection(options, folder):
    generate(options, folder, options.events, "--out", "events.ndjson")
    write(folder, "bare.yaml", BARE)
    write(folder, "protected.yaml", PROTECTED)
    taken = {"bare": [], "protected": []}
    for round_number in range(options.rounds):
        names = ["bare", "protected"]
        for name in names if round_number % 2 == 0 else reversed(names):
            data = os.path.join(folder, f"data-{name}")
            run = timed([options.onceflow, "run", f"{name}.yaml", "--data-dir", data], folder)
            taken[name].append(run)
            for path in [data, f"lake-{name}", "archive", "dead"]:
                shutil.rmtree(os.path.join(folder, path), ignore_errors=True)
    for name, runs in taken.items():
        seconds = statistics.median(run[0] for run in runs)
        cpu = statistics.median(run[1] for run in runs)
        print(f"{name:10} {options.events / seconds:12,.0f} events/s  {seconds:6.2f} s  "
              f"{cpu:6.2f} CPU s")
    ratios = [bare[0] / protected[0]
              for bare, protected in zip(taken["bare"], taken["protected"])]
    print(f"protected / bare: {statistics.median(ratios):.2f} of the throughput (pairs: "
          + ", ".join(f"{ratio:.2f}" for ratio in ratios) + ")")


class Receiver:
    """Counts what arrives, by number."""

    def __init__(self, port, events):
        self.seen = bytearray(events + 1)
        self.lines = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                numbers = [int(number) for number in re.findall(rb'"number":(\d+)', body)]
                outer.lines += len(numbers)
                for number in numbers:
                    outer.seen[number] = min(outer.seen[number] + 1, 255)
                self.send_response(204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def served(options, folder, data, port, clock_ms):
    write(folder, "outage.yaml", OUTAGE % port)
    write(folder, "clock", str(clock_ms))
    process = subprocess.Popen(
        [options.onceflow, "serve", "outage.yaml", "--listen", "127.0.0.1:0", "--data-dir", data,
         "--shard-records-in-per-s", "0", "--test-clock", "clock"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line.startswith("listening on "):
            at = line.split()[2].rstrip(",")
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return process, at
    sys.exit("serve ended")


def metric(at, name):
    with urllib.request.urlopen(f"{at}/metrics") as page:
        found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\d+)", page.read().decode(), re.M)
    return sum(map(int, found))


def settled(at):
    with urllib.request.urlopen(f"{at}/metrics") as page:
        found = re.findall(r'onceflow_events_total{[^}]*outcome="\w+"[^}]*} (\d+)',
                           page.read().decode())
    return sum(map(int, found))


def catch_up(at, events, receiver):
    began = time.perf_counter()
    before = receiver.lines
    while settled(at) < events:
        time.sleep(0.2)
    seconds = time.perf_counter() - began
    return (receiver.lines - before) / seconds


def put(options, folder, at, events, minutes, clock):
    """All events into the stream, while the test clock goes on by `minutes`."""
    slices = 20
    for number in range(slices):
        generate(options, folder, events // slices, "--seed", str(number + 1),
                 "--to", "stream:events", "--endpoint", at)
        clock[0] += minutes * 60_000 // slices
        write(folder, "clock", str(clock[0]))
        yield


def outage(options, folder):
    events = options.per_second * options.minutes * 60
    events -= events % 20
    port = 20000 + os.getpid() % 20000
    memory = []
    data = os.path.join(folder, "data-outage")
    process, at = served(options, folder, data, port, 0)
    try:
        clock = [0]
        for _ in put(options, folder, at, events, options.minutes, clock):
            memory.append(metric(at, "onceflow_memory_bytes") / 2**20)
        print(f"{events:,} events in {options.minutes} minutes of the test clock, nobody listens")
        print(f"memory: {memory[0]:.0f} MiB at first, {max(memory):.0f} MiB at most, "
              f"{memory[-1]:.0f} MiB at the end; attempts {metric(at, 'onceflow_sink_attempts_total')}, "
              f"dead {metric(at, 'onceflow_sink_dead_total')}")
        receiver = Receiver(port, events)
        clock[0] += 60_000
        write(folder, "clock", str(clock[0]))
        rate = catch_up(at, events, receiver)
        after = metric(at, "onceflow_memory_bytes") / 2**20
    finally:
        process.terminate()
        process.wait()
    received = receiver.lines
    receiver.close()
    print(f"catch-up: {rate:,.0f} events/s delivered, memory then {after:.0f} MiB; "
          f"{received:,} arrived")

    data = os.path.join(folder, "data-there")
    receiver = Receiver(port, events)
    process, at = served(options, folder, data, port, clock[0])
    process.terminate()
    process.wait()
    # The same stream, read by a pipe whose sink is there from the start.
    shutil.copytree(os.path.join(folder, "data-outage", "broker"), os.path.join(data, "broker"),
                    dirs_exist_ok=True)
    process, at = served(options, folder, data, port, clock[0])
    try:
        plain = catch_up(at, events, receiver)
    finally:
        process.terminate()
        process.wait()
    expected = receiver.lines
    receiver.close()
    print(f"there from the start: {plain:,.0f} events/s delivered; {expected:,} arrived")
    print(f"catch-up / there from the start: {rate / plain:.2f}; "
          f"{'nothing is missing' if received == expected else 'NOT THE SAME NUMBER'}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--onceflow", required=True)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder")
    parser.add_argument("--outage", action="store_true")
    parser.add_argument("--per-second", type=int, default=10_000)
    parser.add_argument("--minutes", type=int, default=10)
    options = parser.parse_args()
    options.onceflow = os.path.abspath(options.onceflow)
    folder = tempfile.mkdtemp(dir=options.folder)
    try:
        (outage if options.outage else protection)(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
