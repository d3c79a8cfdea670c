internal import Synchronization

/// Places in a commit where tests can stop the process: what is in the file then
/// is what a crash leaves. Without a hook a place costs one load.
enum CommitProbe {
    enum Place: String, CaseIterable, Sendable {
        /// A batch of blocks is written and not committed.
        case blocksFilled
        /// A batch of blocks is committed ahead of its transaction.
        case blocksWritten
        /// The commit lock is held.
        case voting
        /// Records and log entry, or the prepared transaction, are written and not committed.
        case recordsWritten
        /// Yes was said.
        case voted
        /// The flip is about to happen.
        case finishing
        /// The flip has happened; the commit lock is still held.
        case finished
        /// The flip has happened and its entry is not in the journal yet; no lock is held.
        case appended
        /// A checkpoint is on the disk and its header is not.
        case flushed
    }

    private static let isSet = Atomic<Bool>(false)
    private static let hook = Mutex<Hook?>(nil)

    /// A function kept in a generic type is wrapped anew each time it is taken out.
    private struct Hook: Sendable {
        let call: @Sendable (Place) -> Void
    }

    /// Has `hook` called at every place, on the thread that reaches it; nil for nothing.
    static func set(_ hook: (@Sendable (Place) -> Void)?) {
        self.hook.withLock { $0 = hook.map(Hook.init) }
        isSet.store(hook != nil, ordering: .releasing)
    }

    static func reach(_ place: Place) {
        guard isSet.load(ordering: .acquiring) else { return }
        hook.withLock { $0 }?.call(place)
    }
}
