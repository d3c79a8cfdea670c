// Making room: clean blocks go, least recently used first, under V.

extension EngineState {
    /// Kernel mappings that can be had for blocks by evicting others, at a guess: a block
    /// that goes may leave a gap that takes one, too.
    var attainableMappings: Int { areaLimit - usedMappings + recency.count / 2 }

    /// Evicts least recently used clean blocks until `needed` more kernel
    /// mappings fit in the budget, or none is left to evict. Then it is an error
    /// only if the program would be left without.
    mutating func makeRoom(forAreas needed: Int) throws(VirtMemError) {
        while recency.count > 0, case let missing = usedMappings + needed - areaLimit, missing > 0 {
            // A block that goes may take a gap with it: half of what is missing at a
            // time is never too much.
            var found = 0
            let victims = recency.prefix(missing) { block in
                found += block.areas
                return 2 * found >= missing
            }
            if try evict(victims) == 0 { break }
        }
        if needed > 0, usedMappings + needed > max(mappingCap, areaLimit) {
            throw .outOfMemory(
                doing:
                    "mapping blocks: \(usedMappings) kernel mappings are in use, and what is changed or in use"
                    + " cannot be evicted",
                errno: outOfMemoryCode)
        }
    }

    /// Evicts least recently used clean blocks that hold frames of the RAM pool,
    /// until `bytes` are free or none is left; returns how many it freed. Dirty
    /// blocks keep theirs (B16, B18).
    mutating func reclaimFrames(_ bytes: Int) throws(VirtMemError) -> Int {
        var freed = 0
        while freed < bytes, let victim = recency.oldestFramed {
            let size = victim.frame?.size ?? 0
            if try evict([victim]) == 0 { break }
            freed += size
        }
        return freed
    }

    /// Evicts up to `limit` least recently used clean blocks (behaviour B17);
    /// returns how many it did.
    mutating func reclaim(_ limit: Int) throws(VirtMemError) -> Int { try evict(recency.prefix(limit)) }

    /// Evicts `victims`; returns how many it did, and throws if that is none.
    ///
    /// Neighbours go together: at the system's limit of mappings, one that covers
    /// several blocks can be taken away as a whole, but not be parted.
    private mutating func evict(_ victims: [Block]) throws(VirtMemError) -> Int {
        var numbers: [UInt32: [Int]] = [:]
        for block in victims { numbers[block.handle, default: []].append(block.number) }
        let before = recency.count
        var failure: VirtMemError?
        for (id, numbers) in numbers {
            guard let handle = handles[id] else { continue }
            for run in HandleState.runs(numbers.sorted()) {
                do throws(VirtMemError) { try makeAbsent(handle, Array(run)) } catch { failure = error }
            }
        }
        let count = before - recency.count
        counts.evictedBlocks += count
        if count == 0, let failure { throw failure }
        return count
    }
}
