// Keys and values of many entries at once. The most frequent types have code of their own.

extension EntryBatch {
    /// Appends the keys at `places`, up to the first that cannot be read.
    @_specialize(where Key == Int)
    @_specialize(where Key == String)
    func decodeKeys<Key: PersistentKey>(_ places: Range<Int>, into keys: inout [Key]) throws {
        keys.reserveCapacity(keys.count + places.count)
        var decoder = KeyDecoder(bytes)
        for place in places {
            decoder.move(to: keyRange(place))
            keys.append(try decoder.whole())
        }
    }

    /// Appends the values at `places`, up to the first that cannot be read.
    @_specialize(where Value == Int)
    @_specialize(where Value == Double)
    @_specialize(where Value == String)
    func decodeValues<Value: PersistentValue>(
        _ places: Range<Int>, _ connection: Connection, into values: inout [Value]
    ) throws {
        values.reserveCapacity(values.count + places.count)
        var decoder = StateDecoder(bytes, connection: connection)
        for place in places {
            decoder.reader.position = valueRange(place).lowerBound
            values.append(try Value.decode(from: &decoder))
        }
    }
}
