"""ZODB on FileStorage: small objects, in a B-tree of the root."""

import BTrees.LOBTree
import persistent
import transaction
import ZODB
import ZODB.FileStorage

import peer


class Record(persistent.Persistent):
    def __init__(self, value):
        self.value = value


class ZODBObjects(peer.Peer):
    name = "ZODB, FileStorage"

    def open_objects(self):
        self.database = ZODB.DB(ZODB.FileStorage.FileStorage(self.path("objects.fs")))
        self.connection = self.database.open()
        root = self.connection.root()
        if "objects" not in root:
            root["objects"] = BTrees.LOBTree.LOBTree()
            transaction.commit()
        self.objects = root["objects"]

    def commit_object(self, number):
        self.objects[number] = Record(bytes(peer.RECORD))
        transaction.commit()

    def commit_objects(self, first, number):
        for key in range(first, first + number):
            self.objects[key] = Record(bytes(peer.RECORD))
        transaction.commit()

    def read_object(self, number):
        return self.objects[number].value

    def close(self):
        self.connection.close()
        self.database.close()


PEERS = [ZODBObjects]
