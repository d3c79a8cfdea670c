import ArgumentParser
import ZBigDB

/// `zbigdb compact`
struct CompactCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compact", abstract: "Bring stored arrays in order and give unused space back.",
        discussion: """
            While others use the database, blocks that lie in pieces are joined, and space is given back for \
            use within the file. With --offline nobody may have the database open, and the file is rewritten \
            as short as its content; that needs room for a second file beside it. Both can be interrupted.
            """)

    @Argument(help: ArgumentHelp("The database.", valueName: "db"))
    var database: PlainText

    @Flag(help: "Rewrite the file; nobody may have it open.")
    var offline = false

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let start = ContinuousClock.now
        let report = try offline ? rewrite() : compact()
        var output = StandardOutput()
        if json {
            output.line(
                JSON.object([
                    "file_bytes": .integer(report.fileBytesAfter),
                    "file_bytes_before": .integer(report.fileBytesBefore),
                    "moved_blocks": .integer(report.movedBlocks),
                ]).prettyText)
        } else {
            let moved = HumanText.count(report.movedBlocks, "block")
            output.line(
                "Moved \(moved) in \(HumanText.duration(ContinuousClock.now - start)); the file has "
                    + "\(HumanText.bytes(report.fileBytesAfter)), before \(HumanText.bytes(report.fileBytesBefore))."
            )
        }
        try output.flush()
    }

    private func compact() throws -> CompactionReport {
        // Without a connection: its snapshot would pin what is given back.
        let database = try Database(database.text)
        let progress = RecordProgress()
        return try database.compact { try progress.update("compacting", $0.done, of: $0.total) }
    }

    private func rewrite() throws -> CompactionReport {
        let progress = RecordProgress()
        return try Database.rewrite(database.text) {
            try progress.update("compacting", $0.done, of: $0.total)
        }
    }
}
