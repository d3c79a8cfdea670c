import ArgumentParser
import Foundation
import ZBigDB

/// `zbigdb demo-observer`: the second process of the demo.
///
/// It answers each line of standard input with one line: `read TABLE DAY` with a position as its
/// snapshot has it, `begin` with the number of the last transaction it sees from then on.
struct DemoObserverCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "demo-observer", shouldDisplay: false)

    @Argument(help: ArgumentHelp("The database.", valueName: "db"))
    var database: PlainText

    func run() throws {
        try Session.read(database) { _, connection in
            // One view for the whole time: it follows the transactions.
            var tables: [String: Ephemeris] = [:]
            while let line = readLine() {
                let words = line.split(separator: " ").map(String.init)
                if words.first == "begin" {
                    try connection.begin()
                    try StandardOutput.print(try connection.tid.description)
                } else if words.count == 3, words[0] == "read", let day = Double(words[2]) {
                    let table = try tables[words[1]] ?? Ephemeris(connection.root.array(words[1]))
                    tables[words[1]] = table
                    let position = try table.position(day)
                    try StandardOutput.print("\(position.x) \(position.y) \(position.z)")
                } else {
                    throw ToolError.demoFailed("the observer does not understand \"\(line)\"")
                }
            }
        }
    }
}

/// The second process, as the first one sees it.
final class DemoObserver {
    private let process = Process()
    private let requests = Pipe()
    private let answers = Pipe()

    /// Starts this program again.
    init(database: String) throws {
        guard let program = Bundle.main.executableURL else {
            throw ToolError.demoFailed("the program does not know its own place")
        }
        // A process that ended must be an error here, not the end of this one.
        signal(SIGPIPE, SIG_IGN)
        process.executableURL = program
        process.arguments = ["demo-observer", "--", database]
        process.standardInput = requests
        process.standardOutput = answers
        try process.run()
    }

    var identifier: Int32 { process.processIdentifier }

    /// Where the observer sees something.
    func position(_ table: String, _ day: Double) throws -> Position {
        let numbers = try ask("read \(table) \(day)").split(separator: " ").compactMap { Double($0) }
        guard numbers.count == 3 else { throw ToolError.demoFailed("the observer's answer is no position") }
        return Position(x: numbers[0], y: numbers[1], z: numbers[2])
    }

    /// The observer moves on to the newest transaction; returns its number.
    func begin() throws -> String { try ask("begin") }

    private func ask(_ request: String) throws -> String {
        do {
            try requests.fileHandleForWriting.write(contentsOf: Data("\(request)\n".utf8))
        } catch {
            throw ToolError.demoFailed("the second process is gone")
        }
        var line = Data()
        while true {
            guard let byte = try answers.fileHandleForReading.read(upToCount: 1), !byte.isEmpty else {
                throw ToolError.demoFailed("the second process is gone")
            }
            if byte[byte.startIndex] == UInt8(ascii: "\n") { return String(decoding: line, as: UTF8.self) }
            line += byte
        }
    }

    deinit {
        // At the end of its input it ends by itself.
        try? requests.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}
