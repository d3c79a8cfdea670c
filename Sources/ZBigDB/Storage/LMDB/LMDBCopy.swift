/// How far a copy is.
public struct CopyProgress: Sendable {
    /// Bytes copied.
    public let bytes: Int
    /// Bytes there are to copy.
    public let total: Int
}

/// Copies the file as a transaction left it, page by page, while others write.
///
/// A snapshot keeps its pages from being used again. Pages it does not have may be copied in the middle
/// of being written: nothing in the copy refers to them. Its first two pages are made from the snapshot's.
struct LMDBCopy {
    private static let chunk = 4 << 20
    private static let attempts = 1000

    private let environment: LMDBEnvironment
    private let file: DraftFile

    /// Returns the bytes of the copy.
    static func run(
        _ environment: LMDBEnvironment, to path: String, _ progress: (CopyProgress) throws -> Void
    ) throws -> Int {
        let file = try DraftFile(path, what: "copy")
        let bytes = try LMDBCopy(environment: environment, file: file).run(progress)
        try file.finish()
        return bytes
    }

    private func run(_ progress: (CopyProgress) throws -> Void) throws -> Int {
        let (pin, meta) = try pinnedState()
        return try withExtendedLifetime(pin) {
            guard let total = meta.usedBytes else {
                throw StorageError.corrupt(path: environment.path, what: "its first pages")
            }
            var done = 0
            while done < total {
                let count = min(Self.chunk, total - done)
                guard let bytes = LMDBPageLayout.read(environment.descriptor, done, count) else {
                    let (_, length) = environment.extent()
                    throw StorageError.truncated(path: environment.path, size: length, expected: total)
                }
                try file.write(bytes, at: done)
                done += count
                try progress(CopyProgress(bytes: done, total: total))
            }
            guard meta.restore(file.descriptor) else { throw file.failure }
            return total
        }
    }

    /// A snapshot and the first page that belongs to it.
    private func pinnedState() throws(StorageError) -> (LMDBPin, LMDBMetaPage) {
        for _ in 0..<Self.attempts {
            let pin = try LMDBPin(environment)
            if let meta = LMDBMetaPage.state(of: pin.transaction, environment.descriptor) {
                return (pin, meta)
            }
            // Two transactions were committed in between.
        }
        throw .corrupt(path: environment.path, what: "its first pages do not have its last transaction")
    }
}
