"""icechunk on local files: transactions over zarr. It never syncs; here that is added."""

import icechunk
import zarr

import peer


class Icechunk(peer.Peer):
    name = "icechunk, local"

    def _open(self, name, create=False):
        storage = icechunk.local_filesystem_storage(self.path(name))
        self.repository = (
            icechunk.Repository.create(storage) if create else icechunk.Repository.open(storage)
        )
        self.syncer = peer.Syncer(self.path(name))

    def _change(self, change, count=None):
        session = self.repository.writable_session("main")
        if count is None:
            array = zarr.open_array(session.store, path="a", mode="r+")
        else:
            array = zarr.create_array(
                session.store, name="a", shape=(count,), chunks=(peer.BLOCK,), dtype="f8", compressors=None
            )
        change(array)
        session.commit("change")
        self.syncer.sync()

    def create(self, count):
        self._open("array", create=True)
        for first, number in peer.pieces(count):

            def change(array, first=first, number=number):
                array[first : first + number] = peer.elements(first, number)

            self._change(change, count if first == 0 else None)

    def open(self):
        self._open("array")
        session = self.repository.readonly_session("main")
        self.array = zarr.open_array(session.store, path="a", mode="r")

    def sum(self):
        return peer.sum_by_blocks(self.array)

    def read(self, place):
        return self.array[place]

    def open_for_update(self):
        self._open("array")

    def update(self, place):
        def change(array):
            array[place] = peer.CHANGED

        self._change(change)

    def open_for_append(self):
        self._open("appended", create=True)
        self._change(lambda array: None, 0)

    def append(self, number, values):
        self._change(lambda array: array.append(values))


PEERS = [Icechunk]
