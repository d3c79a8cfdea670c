"""TileDB: a dense array with tiles of 2 MiB, not compressed; each commit is a fragment."""

import numpy
import tiledb

import peer


class TileDB(peer.Peer):
    name = "TileDB"

    def _make(self, name, count):
        dimension = tiledb.Dim(name="i", domain=(0, count - 1), tile=peer.BLOCK, dtype=numpy.uint64)
        schema = tiledb.ArraySchema(
            domain=tiledb.Domain(dimension), attrs=[tiledb.Attr(name="", dtype=numpy.float64)], sparse=False
        )
        tiledb.Array.create(self.path(name), schema)

    def _write(self, name, first, values):
        with tiledb.open(self.path(name), "w") as array:
            array[first : first + len(values)] = values

    def create(self, count):
        self._make("array", count)
        syncer = peer.Syncer(self.path("array"))
        for first, number in peer.pieces(count):
            self._write("array", first, peer.elements(first, number))
            syncer.sync()

    def open(self):
        self.array = tiledb.open(self.path("array"), "r")

    def sum(self):
        return sum(
            float(self.array[first : first + number].sum())
            for first, number in peer.pieces(self.array.shape[0], 8 * peer.BLOCK)
        )

    def read(self, place):
        return self.array[place]

    def open_for_update(self):
        self.syncer = peer.Syncer(self.path("array"))

    def update(self, place):
        self._write("array", place, numpy.array([peer.CHANGED]))
        self.syncer.sync()

    def open_for_append(self):
        self._make("appended", 1 << 40)
        self.syncer = peer.Syncer(self.path("appended"))

    def append(self, number, values):
        self._write("appended", number * len(values), values)
        self.syncer.sync()


PEERS = [TileDB]
