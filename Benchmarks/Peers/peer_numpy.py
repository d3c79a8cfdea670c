"""numpy.memmap: a plain file, no transactions."""

import os

import numpy

import peer


class Memmap(peer.Peer):
    name = "numpy.memmap"

    def create(self, count):
        array = numpy.memmap(self.path("array"), dtype="f8", mode="w+", shape=(count,))
        for first, number in peer.pieces(count):
            array[first : first + number] = peer.elements(first, number)
            array.flush()

    def open(self):
        self.array = numpy.memmap(self.path("array"), dtype="f8", mode="r")

    def sum(self):
        return float(self.array.sum())

    def read(self, place):
        return self.array[place]

    def open_for_update(self):
        self.array = numpy.memmap(self.path("array"), dtype="f8", mode="r+")

    def update(self, place):
        self.array[place] = peer.CHANGED
        self.array.flush()

    def open_for_append(self):
        self.file = open(self.path("appended"), "wb", buffering=0)

    def append(self, number, values):
        self.file.write(values.tobytes())
        os.fdatasync(self.file.fileno())


PEERS = [Memmap]
