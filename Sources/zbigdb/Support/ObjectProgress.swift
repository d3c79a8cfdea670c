import ZBigDB

/// Shows how far an export or import is, and ends it when the user wants that.
final class ObjectProgress {
    private let title: String
    private var bar: ProgressBar?
    private var known = 0

    init(_ title: String) { self.title = title }

    /// - Throws: what ``Interruption/check()`` throws.
    func update(_ progress: ExportProgress) throws {
        try Interruption.check()
        // More objects are found on the way.
        if progress.known > 2 * known {
            known = progress.known
            bar = nil
            bar = ProgressBar(title, total: known)
        }
        bar?.update(progress.objects) { HumanText.count($0, "object") }
    }
}
