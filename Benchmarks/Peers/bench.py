"""Runs the workloads on other systems, and prints the JSON lines that zbigdb-bench prints.

Each step runs in a fresh process. A system that is not installed is skipped with a message.
"""

import argparse
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

try:
    import peer
except ImportError as error:
    sys.exit(f"nothing works without NumPy: {error}")

MODULES = ["numpy", "h5py", "zarr", "icechunk", "tiledb", "arcticdb", "sqlite", "zodb", "wendelin"]
WORKLOADS = ["create", "scan", "randread", "update", "append", "objects"]
READS = 100_000
OBJECTS = 100_000


def say(text):
    print(text, file=sys.stderr, flush=True)


def line(system, workload, seconds, size=0, operations=None, params=None, extra=None):
    per_second = seconds > 0
    return {
        "system": system,
        "workload": workload,
        "params": params or {},
        "seconds": seconds,
        "bytes": size,
        "MBps": size / seconds / 1e6 if size and per_second else None,
        "ops_per_s": operations / seconds if operations and per_second else None,
        "extra": extra or {},
    }


# What the child processes do: each returns lines.


def create(system, options):
    start = time.perf_counter()
    system.create(options.count)
    system.close()
    seconds = time.perf_counter() - start
    growth = peer.folder_bytes(system.folder)
    return [line(system.name, "create", seconds, options.count * 8, extra={"growth_bytes": growth})]


def scan(system, options):
    system.open()
    lines = []
    for name in ("scan", "scan2"):
        start = time.perf_counter()
        total = system.sum()
        seconds = time.perf_counter() - start
        if abs(total / peer.expected_sum(options.count) - 1) > 1e-9:
            raise SystemExit(f"{system.name} read something else than was written: {total}")
        lines.append(line(system.name, name, seconds, options.count * 8, params={"cold": options.cold}))
    return lines


def randread(system, options):
    system.open()
    lines = []
    for case in ("first", "mapped"):
        places = peer.places(options.count)

        def step(number, places=places):
            place = next(places)
            if system.read(place) != place * 0.5:
                raise SystemExit(f"{system.name}: element {place} is not what was written")

        loop = peer.Deadline(READS, options.limit).run(step)
        lines.append(
            line(system.name, "randread", loop.elapsed, operations=loop.done, params={"case": case})
        )
    return lines


def update(system, options):
    system.open_for_update()
    before = peer.folder_bytes(system.folder)
    places = peer.places(options.count)
    loop = peer.Deadline(options.transactions, options.limit).run(lambda number: system.update(next(places)))
    system.close()
    growth = max(0, peer.folder_bytes(system.folder) - before)
    extra = {"growth_bytes": growth, "growth_bytes_per_update": growth / loop.done}
    return [line(system.name, "update", loop.elapsed, operations=loop.done, extra=extra)]


def append(system, options):
    before = peer.folder_bytes(system.folder)
    system.open_for_append()
    values = peer.elements(0, peer.APPENDED)
    loop = peer.Deadline(options.transactions, options.limit).run(
        lambda number: system.append(number, values)
    )
    system.close()
    size = loop.done * values.nbytes
    growth = peer.folder_bytes(system.folder) - before
    extra = {"growth_bytes": growth, "growth_per_data": growth / size}
    return [line(system.name, "append", loop.elapsed, size, loop.done, extra=extra)]


def objects(system, options):
    system.open_objects()
    single = peer.Deadline(2 * options.transactions, options.limit).run(system.commit_object)
    start = time.perf_counter()
    system.commit_objects(single.done, OBJECTS)
    bulk = time.perf_counter() - start
    system.close()
    return [
        line(system.name, "objects", single.elapsed, operations=single.done, params={"case": "commit"}),
        line(system.name, "objects", bulk, operations=OBJECTS, params={"case": "bulk"}),
    ]


def read_objects(system, options):
    system.open_objects()
    places = peer.places(OBJECTS)
    loop = peer.Deadline(READS, options.limit).run(lambda number: system.read_object(next(places)))
    return [line(system.name, "objects", loop.elapsed, operations=loop.done, params={"case": "read"})]


STEPS = {
    step.__name__: step for step in (create, scan, randread, update, append, objects, read_objects)
}


def load(module):
    return {kind.name: kind for kind in importlib.import_module(f"peer_{module}").PEERS}


def child(options):
    system = load(options.module)[options.system](options.folder)
    for found in STEPS[options.step](system, options):
        print(json.dumps(found))


# The process that starts them.


def drop_page_cache(folder):
    for path, _, names in os.walk(folder):
        for name in names:
            file = os.path.join(path, name)
            peer.sync_path(file)
            descriptor = os.open(file, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def run_step(options, module, system, folder, step, cold=False):
    command = [sys.executable, __file__, "--module", module, "--system", system, "--folder", folder]
    command += ["--step", step, "--gib", str(options.gib), "--transactions", str(options.transactions)]
    command += ["--limit", str(options.limit)] + (["--cold"] if cold else [])
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        output, errors = process.communicate(timeout=600)
    except subprocess.TimeoutExpired:
        say(f"{system}, {step}: given up after ten minutes")
        return []
    finally:
        process.kill()
        process.wait()
    if process.returncode != 0:
        last = errors.strip().splitlines()[-1:] or ["no message"]
        say(f"{system}, {step}: failed: {last[0]}")
        return []
    return [json.loads(text) for text in output.splitlines() if text.startswith("{")]


def measure(options, module, system, scratch):
    """All lines of one round."""
    kind = load(module)[system]

    def offers(name):
        return getattr(kind, name) is not getattr(peer.Peer, name)

    wanted = options.workload
    folder = os.path.join(scratch, "peer")
    lines = []

    def step(name, cold=False):
        say(f"{system}: {name}{' (cold)' if cold else ''}")
        found = run_step(options, module, system, folder, name, cold)
        lines.extend(found)
        return found

    os.mkdir(folder)
    if offers("create") and step("create"):
        if "scan" in wanted:
            step("scan")
            drop_page_cache(folder)
            step("scan", cold=True)
        for name in ("randread", "update"):
            if name in wanted:
                step(name)
    shutil.rmtree(folder)
    for name, followers in (("append", []), ("objects", ["read_objects"])):
        if name in wanted and offers("append" if name == "append" else "open_objects"):
            os.mkdir(folder)
            if step(name):
                for follower in followers:
                    step(follower)
            shutil.rmtree(folder)
    return [found for found in lines if found["workload"].rstrip("2") in wanted]


def medians(lines):
    groups = {}
    for found in lines:
        key = (found["system"], found["workload"], json.dumps(found["params"], sort_keys=True))
        groups.setdefault(key, []).append(found)
    for group in groups.values():
        group.sort(key=lambda found: found["seconds"])
        yield group[len(group) // 2]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", nargs="*", default=WORKLOADS, help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--gib", type=float, default=1.0, help="size of the arrays")
    parser.add_argument("--rounds", type=int, default=3, help="the median of these is printed")
    parser.add_argument("--transactions", type=int, default=500, help="of update and append")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds after which a loop ends early")
    parser.add_argument("--peer", action="append", choices=MODULES, help="only these")
    parser.add_argument("--directory", help="where the scratch folder is made")
    # Of the processes that do the work.
    for name in ("--module", "--system", "--folder", "--step"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--cold", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.workload) - set(WORKLOADS)
    if unknown:
        parser.error(f"no workload is called {', '.join(sorted(unknown))}")
    block = 262_144
    options.count = max(1, int(options.gib * (1 << 27)) // block) * block
    return options


def main():
    options = arguments()
    if options.step:
        return child(options)
    # Whatever ends this process, the scratch folder goes.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    scratch = tempfile.mkdtemp(prefix="zbigdb-bench-peers-", dir=options.directory)
    try:
        for module in options.peer or MODULES:
            try:
                systems = list(load(module))
            except Exception as error:  # whatever a package of others does when it is loaded
                say(f"{module}: skipped: {error}")
                continue
            for system in systems:
                lines = []
                for _ in range(options.rounds):
                    lines += measure(options, module, system, scratch)
                for found in medians(lines):
                    print(json.dumps(found), flush=True)
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
