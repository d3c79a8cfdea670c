/// Keeps LMDB from using pages again that the state it was made at has.
@safe
final class LMDBPin: Sendable {
    nonisolated(unsafe) private let pointer: OpaquePointer
    private let path: String

    init(_ environment: LMDBEnvironment) throws(StorageError) {
        path = environment.path
        unsafe pointer = try environment.beginRead()
    }

    deinit { unsafe LMDBTransaction(pointer: pointer, path: path).abort() }
}
