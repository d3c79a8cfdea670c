"""What the peers have in common: the data, the places, and how to make a commit durable."""

import os
import time

import numpy

BLOCK = 262_144  # elements of 8 bytes: 2 MiB
COMMIT = 256 << 20  # bytes between two commits of `create`
CHANGED = -1.0
APPENDED = 8192  # elements of one append: 64 KiB
RECORD = 100  # bytes of a small object


def places(count):
    """The same places as the other benchmarks use: xorshift, seed fixed."""
    state = 88_172_645_463_325_252
    mask = (1 << 64) - 1
    while True:
        state ^= state << 13 & mask
        state ^= state >> 7
        state ^= state << 17 & mask
        yield state % count


def elements(first, number):
    return numpy.arange(first, first + number, dtype=numpy.float64) * 0.5


def pieces(count, number=COMMIT // 8):
    """First element and number of each piece of an array."""
    for first in range(0, count, number):
        yield first, min(number, count - first)


def sum_by_blocks(array):
    """The sum of all elements of an array that is read by slices."""
    return sum(float(array[first : first + number].sum()) for first, number in pieces(array.shape[0], BLOCK))


def expected_sum(count):
    return count * (count - 1) / 4


def folder_bytes(folder):
    return sum(
        os.path.getsize(os.path.join(path, name)) for path, _, names in os.walk(folder) for name in names
    )


def sync_path(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Syncer:
    """Makes durable what a library wrote that never syncs: each file changed since the last time,
    and the folder it is in."""

    def __init__(self, folder):
        self.folder = folder
        self.known = {}
        self._changed()

    def sync(self):
        changed = self._changed()
        for path in changed:
            sync_path(path)
        for folder in {os.path.dirname(path) for path in changed}:
            sync_path(folder)

    def _changed(self):
        changed = []
        for path, _, names in os.walk(self.folder):
            for name in names:
                file = os.path.join(path, name)
                status = os.stat(file)
                facts = (status.st_ino, status.st_size, status.st_mtime_ns)
                if self.known.get(file) != facts:
                    self.known[file] = facts
                    changed.append(file)
        return changed


class Deadline:
    """Ends a loop that a slow system would be at for minutes."""

    def __init__(self, limit, seconds):
        self.limit = limit
        self.seconds = seconds
        self.done = 0
        self.elapsed = 0.0

    def run(self, step):
        start = time.perf_counter()
        for number in range(self.limit):
            step(number)
            self.done += 1
            self.elapsed = time.perf_counter() - start
            if self.elapsed > self.seconds:
                break
        return self


class Peer:
    """A system under test. What it does not have, it does not override.

    Everything lies in `folder`; each step is called in a fresh process, `open` not timed.
    """

    name = ""

    def __init__(self, folder):
        self.folder = folder

    def path(self, name):
        return os.path.join(self.folder, name)

    # An array of Float64, element i = i * 0.5.

    def create(self, count):
        """Fills it in order, with a durable commit every COMMIT bytes."""
        raise NotImplementedError

    def open(self):
        """Opens it for reading."""
        raise NotImplementedError

    def sum(self):
        """The sum of all elements, in order."""
        raise NotImplementedError

    def read(self, place):
        raise NotImplementedError

    def open_for_update(self):
        raise NotImplementedError

    def update(self, place):
        """Changes one element, durably."""
        raise NotImplementedError

    def open_for_append(self):
        """Makes another array, empty."""
        raise NotImplementedError

    def append(self, number, values):
        """Appends values, durably; `number` counts the calls."""
        raise NotImplementedError

    # Small objects.

    def open_objects(self):
        raise NotImplementedError

    def commit_object(self, number):
        """Stores one object, durably."""
        raise NotImplementedError

    def commit_objects(self, first, number):
        """Stores many in one durable commit."""
        raise NotImplementedError

    def read_object(self, number):
        raise NotImplementedError

    def close(self):
        pass
