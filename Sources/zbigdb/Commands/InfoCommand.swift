import ArgumentParser
import ZBigDB

/// `zbigdb info`
struct InfoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info", abstract: "Tell about a database, or about one array in it.")

    @Argument(help: ArgumentHelp("The database.", valueName: "db"))
    var database: PlainText

    @Argument(help: "The array's name.")
    var name: PlainText?

    @OptionGroup var moment: MomentOption

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let (facts, lines) = try Session.read(database, at: moment) { database, connection in
            try name.map { try tell($0.text, connection) } ?? tell(database, connection)
        }
        var output = StandardOutput()
        if json {
            output.line(JSON.object(facts).prettyText)
        } else {
            let width = lines.map(\.0.count).max() ?? 0
            for (label, value) in lines {
                output.line(label + String(repeating: " ", count: width + 2 - label.count) + value)
            }
        }
        try output.flush()
    }

    private typealias Answer = (facts: [String: JSON], lines: [(String, String)])

    private func tell(_ database: Database, _ connection: Connection) throws -> Answer {
        let information = try database.information()
        let names = try connection.root.names().count
        let facts: [String: JSON] = [
            "blockSize": .integer(information.blockSize), "blocks": .integer(information.blocks),
            "compression": .string(information.compression.description),
            "fileBytes": .integer(information.fileBytes),
            "formatVersion": .integer(information.formatVersion),
            "historyStart": information.historyStart.map { .string($0.description) } ?? .null,
            "lastDate": .string(HumanText.isoDate(information.lastTID)),
            "lastTID": .string(information.lastTID.description),
            "mapsBlocks": .bool(information.mapsBlocks), "names": .integer(names),
            "path": .string(information.path), "pendingBlocks": .integer(information.pendingBlocks),
            "preparedTransactions": .integer(information.preparedTransactions),
            "records": .integer(information.records), "transactions": .integer(information.transactions),
            "usedBytes": .integer(information.usedBytes),
        ]
        var lines = [
            ("file", information.path),
            ("format version", "\(information.formatVersion)"),
            ("file size", HumanText.bytes(information.fileBytes)),
            ("used", HumanText.bytes(information.usedBytes)),
            ("block size", HumanText.bytes(information.blockSize)),
            ("compression", information.compression.description),
            ("blocks", information.mapsBlocks ? "mapped from the file" : "copied into memory"),
            ("names", HumanText.count(names)),
            ("records", HumanText.count(information.records)),
            ("stored blocks", HumanText.count(information.blocks)),
            ("transactions logged", HumanText.count(information.transactions)),
            ("last transaction", "\(information.lastTID), \(HumanText.date(information.lastTID)) UTC"),
        ]
        let oldest = information.historyStart
        lines.append(("history", oldest.map { "from \($0), \(HumanText.date($0)) UTC" } ?? "not kept"))
        if connection.moment != nil {
            let tid = try connection.tid
            lines.append(("names are as of", "\(tid), \(HumanText.date(tid)) UTC"))
        }
        if information.pendingBlocks > 0 {
            lines.append(("blocks not committed", HumanText.count(information.pendingBlocks)))
        }
        if information.preparedTransactions > 0 {
            lines.append(("transactions prepared", HumanText.count(information.preparedTransactions)))
        }
        return (facts, lines)
    }

    private func tell(_ name: String, _ connection: Connection) throws -> Answer {
        let array = try connection.root.array(name)
        let (blocks, bytes) = try array.storedBlocks()
        var facts = array.facts(name)
        facts["blockSize"] = .integer(array.file.blockSize)
        facts["strides"] = .shape(array.strides)
        facts["storedBlocks"] = .integer(blocks)
        facts["storedBytes"] = .integer(bytes)
        let blockSize = array.file.blockSize
        let allBlocks = (array.byteCount + blockSize - 1) / blockSize
        return (
            facts,
            [
                ("name", name), ("dtype", array.dtype.description), ("shape", ArrayShape.text(array.shape)),
                ("order", array.order == .c ? "C (last axis fastest)" : "Fortran (first axis fastest)"),
                ("strides", ArrayShape.text(array.strides)),
                ("items", HumanText.count(array.count)), ("size", HumanText.bytes(array.byteCount)),
                ("block size", HumanText.bytes(blockSize)), ("compression", array.compression.description),
                ("stored blocks", "\(HumanText.count(blocks)) of \(HumanText.count(allBlocks))"),
                ("stored size", HumanText.bytes(bytes)),
            ]
        )
    }
}
