import ArgumentParser
import Foundation
import ZBigDB

/// `zbigdb demo`
struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Show what the database does, with the orbits of Mars, the Earth and the Sun.",
        discussion: """
            Imports NASA's tables DE421, computes positions straight from the arrays' memory, changes and \
            restores coefficients before the eyes of a second process, and grows an array far beyond what \
            is stored of it. Exit code 1 if anything is not as it should be.
            """)

    @Argument(help: "A folder for the database, which stays; a temporary one if left out.")
    var dir: PlainText?

    @Option(help: "The folder of the tables; Data/de421 here or above the program if left out.")
    var data: PlainText?

    @Option(help: "The size to which an array is grown.")
    var growTo = ByteSize(bytes: 8 << 30)

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        Interruption.watch()
        let source = try DemoData.folder(data?.text)
        let folder = try DemoFolder(dir?.text)
        var demo = Demo(
            source: source, path: folder.database, bytes: growTo.bytes,
            report: DemoReport(json: json))
        try demo.run()
        try demo.report.finish(kept: folder.isTemporary ? nil : folder.database)
    }
}
