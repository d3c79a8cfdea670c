"""ArcticDB on LMDB: a table with one column, indexed by time, since only such can be updated."""

import arcticdb
import numpy
import pandas

import peer


def frame(first, values):
    index = pandas.DatetimeIndex(numpy.arange(first, first + len(values)).astype("datetime64[ns]"))
    return pandas.DataFrame({"v": values}, index=index)


class ArcticDB(peer.Peer):
    name = "ArcticDB, LMDB backend"

    def _open(self, name):
        store = arcticdb.Arctic(f"lmdb://{self.path(name)}?map_size=64GB")
        self.library = store.get_library("a", create_if_missing=True)

    def create(self, count):
        self._open("array")
        for first, number in peer.pieces(count):
            values = frame(first, peer.elements(first, number))
            if first == 0:
                self.library.write("a", values)
            else:
                self.library.append("a", values)

    def open(self):
        self._open("array")
        self.count = self.library.get_description("a").row_count

    def _read(self, first, end):
        return self.library.read("a", row_range=(first, end)).data["v"].to_numpy()

    def sum(self):
        return sum(
            float(self._read(first, first + number).sum())
            for first, number in peer.pieces(self.count, 16 * peer.BLOCK)
        )

    def read(self, place):
        return self._read(place, place + 1)[0]

    def open_for_update(self):
        self._open("array")

    def update(self, place):
        self.library.update("a", frame(place, numpy.array([peer.CHANGED])))

    def open_for_append(self):
        self._open("appended")

    def append(self, number, values):
        self.library.append("a", frame(number * len(values), values))


PEERS = [ArcticDB]
