/// Keeps LMDB from using pages again that the state it was made at has.
@safe
final class LMDBPin: Sendable {
    nonisolated(unsafe) private let pointer: OpaquePointer
    private let path: String

    init(_ environment: LMDBEnvironment) throws(StorageError) {
        path = environment.path
        unsafe pointer = try environment.beginRead()
    }

    /// LMDB's number of the transaction that left this state.
    var transaction: UInt64 { UInt64(unsafe LMDBTransaction(pointer: pointer, path: path).number) }

    deinit { unsafe LMDBTransaction(pointer: pointer, path: path).abort() }
}
