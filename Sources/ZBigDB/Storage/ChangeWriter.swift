/// Writes which records a transaction changed, one after the other in their order, in the
/// form of the log: nothing is collected, and many new objects in sequence take a few bytes.
struct ChangeWriter {
    /// What an object's changes consist of.
    struct Flags: OptionSet {
        let rawValue: UInt8
        static let state = Flags(rawValue: 1)
        static let blocks = Flags(rawValue: 2)
        static let entries = Flags(rawValue: 4)
        /// A number follows: so many objects behind this one changed their state and nothing else.
        static let run = Flags(rawValue: 8)
    }

    private var writer = ByteWriter()
    private var previous: UInt64 = 0
    private var oid: OID?
    private var hasState = false
    private var blocks: [Int] = []
    private var entries = ByteWriter()
    private var entryCount = 0
    private var lastEntry: [UInt8] = []
    // Objects that changed their state only, in sequence.
    private var runStart: UInt64 = 0
    private var runCount: UInt64 = 0

    mutating func insert(_ key: RecordKey) {
        unsafe key.subkey.withUnsafeBytes { unsafe insert(key.oid, $0) }
    }

    mutating func insert(_ oid: OID, _ subkey: UnsafeRawBufferPointer) {
        if oid != self.oid {
            endObject()
            self.oid = oid
        }
        if unsafe subkey.isEmpty {
            hasState = true
        } else if let block = unsafe RecordKey.block(subkey) {
            blocks.append(block)
        } else {
            unsafe insert(entry: subkey)
        }
    }

    /// An entry is what it shares with the one before, and the rest.
    private mutating func insert(entry: UnsafeRawBufferPointer) {
        var shared = 0
        let most = min(entry.count, lastEntry.count)
        while shared < most, unsafe entry[shared] == lastEntry[shared] { shared += 1 }
        entries.number(UInt64(shared))
        unsafe entries.counted(UnsafeRawBufferPointer(rebasing: entry[shared...]))
        entryCount += 1
        lastEntry.removeSubrange(shared...)
        unsafe lastEntry.append(contentsOf: entry[shared...])
    }

    private mutating func endObject() {
        guard let oid else { return }
        defer {
            (hasState, blocks, entries, entryCount, lastEntry) = (false, [], ByteWriter(), 0, [])
            self.oid = nil
        }
        if hasState, blocks.isEmpty, entryCount == 0 {
            if runCount > 0, oid.rawValue == runStart + runCount {
                runCount += 1
                return
            }
            endRun()
            (runStart, runCount) = (oid.rawValue, 1)
            return
        }
        endRun()
        var flags: Flags = []
        if hasState { flags.insert(.state) }
        if !blocks.isEmpty { flags.insert(.blocks) }
        if entryCount > 0 { flags.insert(.entries) }
        begin(oid.rawValue, flags)
        if !blocks.isEmpty { encodeRuns(blocks) }
        if entryCount > 0 {
            writer.number(UInt64(entryCount))
            writer.raw(entries.bytes)
        }
        previous = oid.rawValue
    }

    private mutating func endRun() {
        guard runCount > 0 else { return }
        begin(runStart, runCount > 1 ? [.state, .run] : .state)
        if runCount > 1 { writer.number(runCount - 1) }
        previous = runStart + runCount - 1
        runCount = 0
    }

    private mutating func begin(_ oid: UInt64, _ flags: Flags) {
        writer.number(oid &- previous)
        writer.byte(flags.rawValue)
    }

    private mutating func encodeRuns(_ blocks: [Int]) {
        var runs: [(start: Int, count: Int)] = []
        for block in blocks {
            if let last = runs.last, last.start + last.count == block {
                runs[runs.count - 1].count += 1
            } else {
                runs.append((block, 1))
            }
        }
        writer.number(UInt64(runs.count))
        var previous = 0
        for run in runs {
            writer.number(UInt64(run.start - previous))
            writer.number(UInt64(run.count))
            previous = run.start + run.count
        }
    }

    /// All of it.
    mutating func finish() -> [UInt8] {
        endObject()
        endRun()
        return writer.bytes
    }
}
