"""HDF5: chunks of 2 MiB, flushed and synced at each commit; no transactions."""

import os

import h5py

import peer


class HDF5(peer.Peer):
    name = "HDF5 (h5py)"

    def _commit(self):
        self.file.flush()
        os.fsync(self.file.id.get_vfd_handle())

    def _make(self, name, count):
        self.file = h5py.File(self.path(name), "w")
        self.array = self.file.create_dataset(
            "a", shape=(count,), maxshape=(None,), chunks=(peer.BLOCK,), dtype="f8"
        )

    def create(self, count):
        self._make("array.h5", count)
        for first, number in peer.pieces(count):
            self.array[first : first + number] = peer.elements(first, number)
            self._commit()

    def open(self):
        self.file = h5py.File(self.path("array.h5"), "r")
        self.array = self.file["a"]

    def sum(self):
        return peer.sum_by_blocks(self.array)

    def read(self, place):
        return self.array[place]

    def open_for_update(self):
        self.file = h5py.File(self.path("array.h5"), "r+")
        self.array = self.file["a"]

    def update(self, place):
        self.array[place] = peer.CHANGED
        self._commit()

    def open_for_append(self):
        self._make("appended.h5", 0)
        self._commit()

    def append(self, number, values):
        end = self.array.shape[0]
        self.array.resize((end + len(values),))
        self.array[end:] = values
        self._commit()

    def close(self):
        self.file.close()


PEERS = [HDF5]
