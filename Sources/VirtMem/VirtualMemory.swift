/// The engine of this process as a whole: what it uses, and what it may use.
public enum VirtualMemory {
    /// What the engine has at the moment, and has done so far.
    public struct Statistics: Sendable, Equatable {
        /// Open handles.
        public var handles = 0
        /// Clean blocks that could be evicted.
        public var evictableBlocks = 0
        /// Kernel mappings in use.
        public var kernelMappings = 0
        /// Bytes of the RAM pool in use: blocks that no file can show.
        public var frameBytes = 0
        /// Faults that service threads answered.
        public var faults = 0
        /// Blocks that were mapped, with or without `loadblk`.
        public var loadedBlocks = 0
        /// Blocks that were evicted for a budget.
        public var evictedBlocks = 0
        /// Bytes of changed memory, as ``DirtyBudget/usedBytes`` counts them, of all handles.
        public var dirtyBytes = 0
        /// Blocks that were spilled.
        public var spilledBlocks = 0
    }

    /// What the engine has at the moment, and has done so far.
    public static func statistics() throws(VirtMemError) -> Statistics {
        let engine = try Engine.shared()
        try engine.refuseInChild("the engine")
        var statistics = engine.locked { state in
            var statistics = state.counts
            statistics.handles = state.handles.count
            statistics.evictableBlocks = state.recency.count
            statistics.kernelMappings = state.usedMappings
            statistics.dirtyBytes = state.dirtyBytes
            return statistics
        }
        statistics.frameBytes = engine.pool.usedBytes
        return statistics
    }

    /// How many bytes of frames there may be before clean ones are evicted. A
    /// quarter of the machine's memory unless set.
    public static func setFrameBudget(_ bytes: Int) throws(VirtMemError) {
        try Engine.shared().pool.budget = bytes
    }

    /// How many kernel mappings the engine may make before it evicts clean
    /// blocks. Three quarters of `vm.max_map_count` unless set; at least 64.
    public static func setKernelMappingLimit(_ count: Int) throws(VirtMemError) {
        let engine = try Engine.shared()
        try engine.refuseInChild("the engine")
        try engine.locked { state throws(VirtMemError) in
            state.areaLimit = max(count, 64)
            try state.makeRoom(forAreas: 0)
        }
    }
}
