#!/usr/bin/env python3
"""What remembering a key costs: Onceflow's ledger, fjall and Redis, one after the other in turns.

    python3 bench/dedup.py [--sizes 1m,10m,100m] [--rounds 1] [--folder DIR] [--svg docs/keys.svg]

Every program is bound to one core, and syncs what it can: the ledger each batch of 65,536, fjall
each batch; Redis keeps nothing on disk. One of ten events is a repeat. What counts is the last
fifth of the keys, when the others are there. The lines that the parts print go to DIR/lines.json.
Without redis-server, Redis is left out by name.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time


def program():
    """The bench, built."""
    built = subprocess.run(
        ["cargo", "bench", "-p", "dedup", "--locked", "--bench", "scale", "--no-run"],
        check=True, capture_output=True, text=True)
    return re.findall(r"\((\S*scale-\S*)\)", built.stderr)[-1]


def part(scale, *words):
    told = subprocess.run([scale, *words], check=True, capture_output=True, text=True).stdout
    return json.loads(told.strip().splitlines()[-1])


def number(text):
    return int(re.sub(r"[km]$", "", text)) * {"k": 1_000, "m": 1_000_000}.get(text[-1], 1)


def redis(size, core):
    """SET key x NX EX over a key space of `size`, pipelined; rate and bytes a key."""
    port = free_port()
    folder = tempfile.mkdtemp()
    server = subprocess.Popen(
        ["taskset", "-c", str(core), "redis-server", "--bind", "127.0.0.1", "--port", str(port),
         "--dir", folder, "--save", "", "--appendonly", "no", "--loglevel", "warning"],
        stdout=subprocess.DEVNULL)
    try:
        cli = ["redis-cli", "-p", str(port)]
        while subprocess.run([*cli, "ping"], capture_output=True).stdout != b"PONG\n":
            time.sleep(0.05)
        before = used(cli)
        fill = ["redis-benchmark", "-p", str(port), "-P", "64", "-c", "8", "-q", "-r"]
        key = "00000000-0000-4000-8000-__rand_int__"
        command = ["SET", key, "1", "NX", "EX", "86400"]
        # Random numbers repeat: what is there in the end is asked for.
        subprocess.run([*fill, str(2 * 10 ** 9), "-n", str(size * 4 // 5), *command],
                       check=True, capture_output=True)
        begun = time.time()
        subprocess.run([*fill, str(2 * 10 ** 9), "-n", str(size // 5), *command],
                       check=True, capture_output=True)
        wall = time.time() - begun
        keys = int(subprocess.run([*cli, "dbsize"], capture_output=True, text=True).stdout)
        return {"part": "redis", "keys": keys, "rate": size // 5 / wall,
                "wall_ns": wall / (size // 5) * 1e9, "memory_b": (used(cli) - before) / keys}
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)


def used(cli):
    told = subprocess.run([*cli, "info", "memory"], capture_output=True, text=True).stdout
    return int(re.search(r"^used_memory:(\d+)", told, re.M)[1])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def median_of(lines):
    """One line out of several of the same part and size."""
    return {name: statistics.median(line[name] for line in lines)
            if isinstance(value, (int, float)) else value for name, value in lines[0].items()}


def main():
    words = argparse.ArgumentParser(description=__doc__,
                                    formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--sizes", default="1m,10m,100m")
    words.add_argument("--fjall-max", default="10m", help="larger sizes take fjall too long")
    words.add_argument("--redis-max", default="10m", help="larger sizes take Redis too much memory")
    words.add_argument("--rounds", type=int, default=1)
    words.add_argument("--folder", default=None)
    words.add_argument("--svg", default=None)
    asked = words.parse_args()
    folder = pathlib.Path(asked.folder or tempfile.mkdtemp())
    scale, lines = program(), []
    for size in asked.sizes.split(","):
        memory = f"memory={max(number(size) * 13, 16 << 20)}"
        rounds = {"grow": [], "fjall": [], "redis": []}
        for _ in range(asked.rounds):
            shutil.rmtree(folder / "data", ignore_errors=True)
            rounds["grow"].append(
                part(scale, "grow", f"keys={size}", memory, "core=1", f"dir={folder / 'data'}"))
            if number(size) <= number(asked.fjall_max):
                shutil.rmtree(folder / "fjall", ignore_errors=True)
                rounds["fjall"].append(
                    part(scale, "fjall", f"keys={size}", "core=1", f"dir={folder / 'fjall'}"))
            if number(size) <= number(asked.redis_max) and shutil.which("redis-server"):
                rounds["redis"].append(redis(number(size), 1))
        for of_part in filter(None, rounds.values()):
            lines.append(median_of(of_part))
            print(json.dumps(lines[-1]), flush=True)
    # On what is there now: a tenth of the memory, then latencies.
    living = next(line for line in reversed(lines) if line["part"] == "grow")["keys"]
    few = f"memory={int(living * 16 / 10)}"
    lines.append(part(scale, "beyond", f"keys={int(living)}", few, f"dir={folder / 'data'}"))
    print(json.dumps(lines[-1]), flush=True)
    lines.append(part(scale, "tails", "keys=5m"))
    print(json.dumps(lines[-1]), flush=True)
    (folder / "lines.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if asked.svg:
        subprocess.run([scale, "plot", f"from={folder / 'lines.json'}", f"to={asked.svg}"],
                       check=True)
    if not shutil.which("redis-server"):
        print("skipped: Redis (redis-server isn't installed)", file=sys.stderr)
    if not asked.folder:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
