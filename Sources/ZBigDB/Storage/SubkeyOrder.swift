/// Sorting of many subkeys.
///
/// Keys of one map mostly begin alike and differ in few bytes. So the eight bytes behind what all have in common are sorted
/// by as a number, byte by byte, where they differ at all; what is equal in them is compared as a whole.
enum SubkeyOrder {
    private struct Place {
        let head: UInt64
        let index: UInt32
    }

    /// The numbers of the keys, in the order of bytes.
    static func sorted(_ count: Int, _ key: (Int) -> UnsafeRawBufferPointer) -> [UInt32] {
        guard count > 1 else { return Array(0..<UInt32(count)) }
        let first = unsafe key(0)
        var common = first.count
        for index in 1..<count { common = unsafe prefix(first, key(index), upTo: common) }
        var places = (0..<count).map { index in
            unsafe Place(head: head(key(index), from: common), index: UInt32(index))
        }
        var isAscending = true
        var different: UInt64 = 0
        for index in 1..<count {
            isAscending = isAscending && places[index - 1].head < places[index].head
            different |= places[0].head ^ places[index].head
        }
        if !isAscending {
            if count < 64 { places.sort { $0.head < $1.head } } else { sort(&places, different) }
            unsafe settleTies(&places, key)
        }
        return places.map(\.index)
    }

    /// How many bytes two keys have in common, at most `most`.
    private static func prefix(
        _ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer, upTo most: Int
    ) -> Int {
        let most = min(most, b.count)
        var count = 0
        while count < most, unsafe a[count] == b[count] { count += 1 }
        return count
    }

    private static func head(_ key: UnsafeRawBufferPointer, from start: Int) -> UInt64 {
        if start + 8 <= key.count {
            return unsafe UInt64(bigEndian: key.loadUnaligned(fromByteOffset: start, as: UInt64.self))
        }
        var head: UInt64 = 0
        for index in start..<(start + 8) {
            head = unsafe head << 8 | UInt64(index < key.count ? key[index] : 0)
        }
        return head
    }

    /// Sorts by the bytes of the heads that differ, the last one first.
    private static func sort(_ places: inout [Place], _ different: UInt64) {
        var other = places
        for shift in stride(from: UInt64(0), to: 64, by: 8) where different >> shift & 0xff != 0 {
            var starts = [Int](repeating: 0, count: 257)
            for place in places { starts[Int(place.head >> shift & 0xff) + 1] += 1 }
            for byte in 1..<256 { starts[byte] += starts[byte - 1] }
            for place in places {
                let byte = Int(place.head >> shift & 0xff)
                other[starts[byte]] = place
                starts[byte] += 1
            }
            swap(&places, &other)
        }
    }

    /// Sorts those whose heads are equal by their keys.
    private static func settleTies(_ places: inout [Place], _ key: (Int) -> UnsafeRawBufferPointer) {
        var start = 0
        while start < places.count {
            var end = start + 1
            while end < places.count, places[end].head == places[start].head { end += 1 }
            if end - start > 1 {
                places[start..<end].sort { a, b in
                    unsafe key(Int(a.index)).compare(key(Int(b.index))) < 0
                }
            }
            start = end
        }
    }
}
