/// Finds a file that was cut off, before touching what is missing ends the
/// process with SIGBUS.
///
/// The file may lawfully be a little shorter than the pages LMDB counts: pages
/// taken and freed within one transaction at its end are never written. So a
/// short file is refused only if something in it reaches past its end.
enum LengthCheck {
    static func run(_ environment: LMDBEnvironment, _ format: FileFormat) throws(StorageError) {
        let (used, length) = environment.extent()
        if length >= used { return }
        let path = environment.path
        let damage = StorageError.truncated(path: path, size: length, expected: used)
        if environment.options.isReadOnly { throw damage }
        // Zeros in place of what is missing: they cannot pass for a page of a tree.
        guard environment.setLength(used) else { throw damage }
        do throws(StorageError) {
            let isWhole = unsafe try environment.read { transaction throws(StorageError) -> Bool in
                let trees = [
                    format.records, format.blocks, format.transactions, format.meta, format.pending,
                    format.prepared, format.outcomes,
                ]
                for tree in trees where unsafe try !reachesOnly(length, environment, transaction, tree) {
                    return false
                }
                return true
            }
            if isWhole { return }
        } catch {
            // A tree that leads into the missing part.
        }
        _ = environment.setLength(length)
        throw damage
    }

    private static func reachesOnly(
        _ length: Int, _ environment: LMDBEnvironment, _ transaction: LMDBTransaction, _ tree: LMDBTree
    ) throws(StorageError) -> Bool {
        let cursor = try unsafe transaction.cursor(tree)
        var entry = unsafe try cursor.first()
        var count = 0
        while let at = unsafe entry {
            count += 1
            // Values of their own pages only; small ones lie in the tree's pages.
            if unsafe at.value.count > environment.pageSize / 2 {
                guard let offset = unsafe environment.fileOffset(of: at.value),
                    unsafe offset + at.value.count <= length
                else { return false }
            }
            unsafe entry = try cursor.next()
        }
        return try unsafe count == transaction.statistics(tree).entries
    }
}
