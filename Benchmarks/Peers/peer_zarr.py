"""zarr 3 on local files: chunks of 2 MiB, not compressed. It never syncs; here that is added."""

import zarr

import peer


class Zarr(peer.Peer):
    name = "zarr 3, local"

    def _make(self, name, count):
        self.array = zarr.create_array(
            store=self.path(name), shape=(count,), chunks=(peer.BLOCK,), dtype="f8", compressors=None
        )
        self.syncer = peer.Syncer(self.path(name))

    def create(self, count):
        self._make("array", count)
        for first, number in peer.pieces(count):
            self.array[first : first + number] = peer.elements(first, number)
            self.syncer.sync()

    def open(self):
        self.array = zarr.open_array(self.path("array"), mode="r")

    def sum(self):
        return peer.sum_by_blocks(self.array)

    def read(self, place):
        return self.array[place]

    def open_for_update(self):
        self.array = zarr.open_array(self.path("array"), mode="r+")
        self.syncer = peer.Syncer(self.path("array"))

    def update(self, place):
        self.array[place] = peer.CHANGED
        self.syncer.sync()

    def open_for_append(self):
        self._make("appended", 0)

    def append(self, number, values):
        self.array.append(values)
        self.syncer.sync()


PEERS = [Zarr]
