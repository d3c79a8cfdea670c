"""SQLite from the standard library: BLOBs of 2 MiB, write-ahead log, every commit synced."""

import sqlite3

import numpy

import peer


class SQLite(peer.Peer):
    page = 4096

    def _connect(self, name):
        self.database = sqlite3.connect(self.path(name), isolation_level=None)
        for pragma in (f"page_size={self.page}", "journal_mode=WAL", "synchronous=FULL"):
            self.database.execute(f"PRAGMA {pragma}").fetchall()
        self.database.execute("CREATE TABLE IF NOT EXISTS a (k INTEGER PRIMARY KEY, v BLOB)")

    def create(self, count):
        self._connect("array.sqlite")
        for first, number in peer.pieces(count):
            self.database.execute("BEGIN IMMEDIATE")
            for start, part in peer.pieces(number, peer.BLOCK):
                values = peer.elements(first + start, part)
                self.database.execute(
                    "INSERT INTO a VALUES (?, ?)", ((first + start) // peer.BLOCK, values.tobytes())
                )
            self.database.execute("COMMIT")

    def open(self):
        self._connect("array.sqlite")
        self.blobs = {}

    def sum(self):
        total = 0.0
        for (blob,) in self.database.execute("SELECT v FROM a ORDER BY k"):
            total += float(numpy.frombuffer(blob).sum())
        return total

    def read(self, place):
        block, index = divmod(place, peer.BLOCK)
        with self.database.blobopen("a", "v", block, readonly=True) as blob:
            blob.seek(index * 8)
            return numpy.frombuffer(blob.read(8))[0]

    def open_for_update(self):
        self._connect("array.sqlite")

    def update(self, place):
        block, index = divmod(place, peer.BLOCK)
        with self.database.blobopen("a", "v", block) as blob:
            blob.seek(index * 8)
            blob.write(numpy.float64(peer.CHANGED).tobytes())

    def open_for_append(self):
        self._connect("appended.sqlite")

    def append(self, number, values):
        self.database.execute("INSERT INTO a VALUES (?, ?)", (number, values.tobytes()))

    def open_objects(self):
        self._connect("objects.sqlite")

    def commit_object(self, number):
        self.database.execute("INSERT INTO a VALUES (?, ?)", (number, bytes(peer.RECORD)))

    def commit_objects(self, first, number):
        self.database.execute("BEGIN IMMEDIATE")
        self.database.executemany(
            "INSERT INTO a VALUES (?, ?)", ((key, bytes(peer.RECORD)) for key in range(first, first + number))
        )
        self.database.execute("COMMIT")

    def read_object(self, number):
        return self.database.execute("SELECT v FROM a WHERE k = ?", (number,)).fetchone()[0]

    def close(self):
        self.database.close()


class SQLiteSmallPages(SQLite):
    name = "SQLite, 4 KiB pages"


class SQLiteLargePages(SQLite):
    name = "SQLite, 64 KiB pages"
    page = 65_536


PEERS = [SQLiteSmallPages, SQLiteLargePages]
