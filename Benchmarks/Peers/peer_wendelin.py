"""wendelin.core 0.13 on ZODB's FileStorage, with both of its block formats."""

import transaction
import ZODB
import ZODB.FileStorage
from wendelin.bigarray.array_zodb import ZBigArray
from wendelin.bigfile import file_zodb

import peer


class Wendelin(peer.Peer):
    format = "ZBlk0"

    def _open(self, name):
        file_zodb.ZBlk_fmt_write = self.format
        self.database = ZODB.DB(ZODB.FileStorage.FileStorage(self.path(name)))
        self.connection = self.database.open()
        self.root = self.connection.root()

    def _make(self, name, count):
        self._open(name)
        self.root["a"] = self.array = ZBigArray((count,), "f8")
        transaction.commit()

    def create(self, count):
        self._make("array.fs", count)
        for first, number in peer.pieces(count):
            self.array[first : first + number] = peer.elements(first, number)
            transaction.commit()

    def open(self):
        self._open("array.fs")
        self.array = self.root["a"]

    def sum(self):
        return sum(
            float(self.array[first : first + number].sum())
            for first, number in peer.pieces(self.array.shape[0], peer.BLOCK)
        )

    def read(self, place):
        return self.array[place : place + 1][0]

    def open_for_update(self):
        self.open()

    def update(self, place):
        self.array[place : place + 1] = peer.CHANGED
        transaction.commit()

    def open_for_append(self):
        self._make("appended.fs", 0)

    def append(self, number, values):
        self.array.append(values)
        transaction.commit()

    def close(self):
        transaction.abort()
        self.connection.close()
        self.database.close()


class WendelinZBlk0(Wendelin):
    name = "wendelin.core, ZBlk0"


class WendelinZBlk1(Wendelin):
    name = "wendelin.core, ZBlk1"
    format = "ZBlk1"


PEERS = [WendelinZBlk0, WendelinZBlk1]
