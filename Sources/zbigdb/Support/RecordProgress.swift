/// Shows how far work on records is, and ends it when the user wants that.
final class RecordProgress {
    private var bar: ProgressBar?
    private var title: String?

    /// Another title begins another bar.
    ///
    /// - Throws: what ``Interruption/check()`` throws.
    func update(_ title: String, _ done: Int, of total: Int) throws {
        try Interruption.check()
        if self.title != title {
            // The old one clears its line before the new one begins.
            bar = nil
            bar = ProgressBar(title, total: total)
        }
        self.title = title
        bar?.update(done) { HumanText.count($0, "record") }
    }

    func end() { bar = nil }
}
