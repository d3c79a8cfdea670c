import Foundation

@testable import ZBigDB

/// Makes what a power cut could leave of an open database: of the pages written since the
/// last checkpoint any, of the journal what was flushed, and perhaps the beginning of more.
///
/// Only one of them at a time, in a process of its own: it learns of checkpoints from the
/// commit's probe.
final class PowerCut: @unchecked Sendable {
    // `synced` and `action` are touched under the lock only; the rest does not change.
    private let path: String
    private let lock = NSLock()
    private var synced = Data()
    private var action: (@Sendable (CommitProbe.Place) -> Void)?

    init(_ path: String) throws {
        self.path = path
        try note()
        CommitProbe.set { [unowned self] place in
            // Only the checkpoint's own thread writes now.
            if place == .flushed { try? note() }
            lock.withLock { action }?(place)
        }
    }

    /// Has `action` called at every place in a commit, where it may make a cut.
    func onReach(_ action: @escaping @Sendable (CommitProbe.Place) -> Void) {
        lock.withLock { self.action = action }
    }

    private func note() throws {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        lock.withLock { synced = data }
    }

    /// Whether commits are flushed by the journal, and not one by one.
    private var isJournaled: Bool { get throws { try JournalFile.isActive(path) } }

    /// Makes the file and the journal as the power cut leaves them at `copy`. Runs `acknowledged` at a
    /// moment before; what it counts must be there afterwards.
    ///
    /// - Parameter hasWriters: whether somebody writes to the database meanwhile. Then there is none
    ///   while there is no journal: nil.
    func make<R>(
        _ copy: String, _ random: inout ArrayRandom, hasWriters: Bool, _ acknowledged: () throws -> R
    ) throws -> R? {
        lock.lock()
        defer { lock.unlock() }
        // No checkpoint comes now, nor does a journal begin or end.
        if try !isJournaled {
            // Every commit is flushed by LMDB. A file it writes to meanwhile cannot be copied.
            if hasWriters { return nil }
            synced = try Data(contentsOf: URL(fileURLWithPath: path))
        }
        let result = try acknowledged()
        let journalPath = JournalFile.path(of: path)
        let header = try JournalFile.header(path)
        if FileManager.default.fileExists(atPath: journalPath) {
            var journal = try Data(contentsOf: URL(fileURLWithPath: journalPath))
            let place = URL(fileURLWithPath: JournalFile.path(of: copy))
            try journal.write(to: place)
            if random.chance(50) {
                try tear(&journal, place.path)
                try journal.write(to: place)
            }
        }
        var data = try isJournaled ? Data(contentsOf: URL(fileURLWithPath: path)) : synced
        // A checkpoint that was noted before may still have written its header: then this is no moment.
        if hasWriters, try JournalFile.header(path) != header { return nil }
        let page = 4096
        // Some cuts lose nearly all, some nearly nothing.
        let kept = Int.random(in: 0...100, using: &random)
        for start in stride(from: 0, to: data.count, by: page) where !random.chance(kept) {
            let end = min(start + page, data.count)
            let old = start < synced.count ? synced[start..<min(end, synced.count)] : Data()
            data.replaceSubrange(start..<end, with: old + Data(repeating: 0, count: end - start - old.count))
        }
        if random.chance(30), synced.count < data.count { data = data[..<synced.count] }
        try data.write(to: URL(fileURLWithPath: copy))
        return result
    }

    /// Puts the beginning of another entry behind the last one, as if it had just been under way.
    private func tear(_ journal: inout Data, _ copy: String) throws {
        guard let file = try JournalFile(copy, create: false, isReadOnly: true),
            let header = try file.header()
        else { return }
        let entries = try file.entries(header.sequence)
        let at = entries.reduce(JournalFile.firstEntry) { $0 + JournalFile.framedSize($1.encoded().count) }
        let entry = JournalFile.framed([UInt8](repeating: 1, count: 5000), sequence: header.sequence, at: at)
        journal.replaceSubrange(at..<(at + JournalFile.page), with: entry[..<JournalFile.page])
    }
}

extension JournalFile {
    /// Whether a database has a journal that continues its file.
    static func isActive(_ database: String) throws -> Bool { try header(database)?.checkpoint != nil }

    /// The header that counts of a database's journal.
    static func header(_ database: String) throws -> JournalHeader? {
        try JournalFile(path(of: database), create: false, isReadOnly: true)?.header()
    }
}
