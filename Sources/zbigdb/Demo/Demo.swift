import Foundation
import ZBigDB

/// The steps of the demo.
struct Demo {
    let source: String
    let path: String
    /// The size to which an array is grown.
    let bytes: Int
    var report: DemoReport

    /// Kilometres by which a computed position may differ from the known one.
    private static let tolerance = 1e-3
    /// The day the changes are made for, and the kilometres they move Mars by.
    private static let day = 2451545.0
    private static let shift = 1000.0

    /// - Throws: ``ToolError/demoFailed(_:)`` if anything is not as it should be.
    mutating func run() throws {
        let path = self.path
        if FileManager.default.fileExists(atPath: path) { throw StorageError.exists(path: path) }
        let database = try report.step("Create a database") { _ in
            (try Database(path, create: true), path)
        }
        let connection = try database.connect()
        try importTables(connection)
        try computePositions(connection)
        try changeAndAbort(connection)
        try changeAndCommit(connection)
        try grow(connection)
        try verify(database)
        try connection.close()
        try database.close()
    }

    // MARK: Tables and positions

    private mutating func importTables(_ connection: Connection) throws {
        let source = self.source
        try report.step("Import four tables") { report in
            var bytes = 0
            for (name, file) in DemoData.tables {
                let result = try NpyImport.run(try InputFile("\(source)/\(file)"), as: name, into: connection)
                let header = result.header
                bytes += header.dataByteCount
                try report.say(
                    "  \(name): \(header.dtype) \(ArrayShape.text(header.shape)), "
                        + HumanText.bytes(header.dataByteCount))
            }
            _ = try connection.commitAsUser(note: "import of DE421")
            return ((), "\(HumanText.bytes(bytes)) in one transaction")
        }
    }

    private mutating func computePositions(_ connection: Connection) throws {
        let found = try report.step("Compute positions from mapped memory") { report in
            var found: [(KnownPosition, Position, Double)] = []
            for known in KnownPosition.all {
                let position = try Ephemeris(connection.root.array(known.table)).position(known.day)
                found.append((known, position, position.distance(to: known.position)))
            }
            for line in Self.table(found).lines { try report.say("  \(line)") }
            let worst = found.map(\.2).max() ?? .infinity
            guard worst <= Self.tolerance else {
                throw ToolError.demoFailed("a position differs by \(worst) km from the known one")
            }
            return (found, "all agree within \(String(format: "%.1g", worst)) km")
        }
        for (known, position, difference) in found { report.add(known, position, difference: difference) }
    }

    private static func table(_ found: [(KnownPosition, Position, Double)]) -> TextTable {
        var table = TextTable([
            "body": .left, "Julian day": .right, "": .left, "computed (km)": .right, "known (km)": .right,
            "difference": .right,
        ])
        for (known, position, _) in found {
            let rows = [
                ("x", position.x, known.position.x), ("y", position.y, known.position.y),
                ("z", position.z, known.position.z),
            ]
            for (index, (axis, computed, expected)) in rows.enumerated() {
                table.add(
                    index == 0 ? known.body : "", index == 0 ? String(format: "%.2f", known.day) : "", axis,
                    String(format: "%.6f", computed), String(format: "%.6f", expected),
                    String(format: "%.1e", computed - expected))
            }
        }
        return table
    }

    // MARK: Changes

    private mutating func changeAndAbort(_ connection: Connection) throws {
        try report.step("Change coefficients, and abort") { report in
            let array = try connection.root.array("mars")
            let mars = try Ephemeris(array)
            let before = try mars.position(Self.day)
            try Self.move(array, mars)
            let moved = try mars.position(Self.day)
            try report.say("  before  " + Self.text(before))
            try report.say("  changed " + Self.text(moved))
            try Self.require(
                abs(moved.x - before.x - Self.shift) < Self.tolerance,
                "the change of a coefficient did not show")
            try connection.abort()
            let after = try mars.position(Self.day)
            try report.say("  aborted " + Self.text(after))
            try Self.require(after.isIdentical(to: before), "the abort did not bring the position back")
            return ((), "Mars moved by \(Int(Self.shift)) km and came back")
        }
    }

    private mutating func changeAndCommit(_ connection: Connection) throws {
        let path = self.path
        let array = try connection.root.array("mars")
        let mars = try Ephemeris(array)
        let before = try mars.position(Self.day)
        let old = try array.element(mars.interval(Self.day), 0, 0, as: Double.self)

        let observer = try report.step("Start a second process") { report in
            let observer = try DemoObserver(database: path)
            let seen = try observer.position("mars", Self.day)
            try report.say("  it sees " + Self.text(seen))
            try Self.require(seen.isIdentical(to: before), "the second process sees another position")
            return (observer, "process \(observer.identifier) sees the same position")
        }
        try report.step("Change coefficients, and commit") { report in
            try Self.move(array, mars)
            let tid = try connection.commitAsUser(note: "move Mars by \(Int(Self.shift)) km")
            let moved = try mars.position(Self.day)
            try report.say("  this process sees         " + Self.text(moved))
            let early = try observer.position("mars", Self.day)
            try report.say("  the second one still sees " + Self.text(early))
            try Self.require(
                early.isIdentical(to: before),
                "the second process saw the commit in the middle of a transaction")
            let seenTID = try observer.begin()
            let late = try observer.position("mars", Self.day)
            try report.say("  after its next boundary   " + Self.text(late))
            try Self.require(
                late.isIdentical(to: moved) && !late.isIdentical(to: before) && seenTID == tid?.description,
                "the second process did not see the commit at its boundary")
            return ((), "seen by the second process at its next transaction, not before")
        }
        try report.step("Restore the coefficients, and commit") { report in
            try array.setElement(mars.interval(Self.day), 0, 0, to: old)
            _ = try connection.commitAsUser(note: "move Mars back")
            _ = try observer.begin()
            let seen = try observer.position("mars", Self.day)
            try report.say("  the second process sees " + Self.text(seen))
            try Self.require(
                seen.isIdentical(to: before), "the second process does not see the restored position")
            return ((), "both processes see the first position again")
        }
    }

    /// Adds to the constant coefficient of x, which moves the planet by as much.
    private static func move(_ array: BigArray, _ table: Ephemeris) throws {
        let interval = table.interval(day)
        let old = try array.element(interval, 0, 0, as: Double.self)
        try array.setElement(interval, 0, 0, to: old + shift)
    }

    // MARK: Growth and the end

    private mutating func grow(_ connection: Connection) throws {
        let path = self.path
        let count = bytes / 8
        try report.step("Grow an array to \(HumanText.bytes(count * 8))") { report in
            let before = try Self.fileSize(path)
            let array = try connection.createArray("synthetic", shape: [1], of: Double.self)
            _ = try connection.commitAsUser(note: "a small array")
            try array.resize([count])
            let places = (0..<4).map { $0 * (count - 1) / 3 }
            for (index, place) in places.enumerated() { try array.setElement(place, to: Double(index + 1)) }
            _ = try connection.commitAsUser(note: "grown, four elements written")
            for (index, place) in places.enumerated() {
                let value = try array.element(place, as: Double.self)
                try Self.require(value == Double(index + 1), "element \(place) is \(value), not \(index + 1)")
            }
            let hole = try array.element(count / 2, as: Double.self)
            try Self.require(hole == 0, "an element that was never written is \(hole), not 0")
            let growth = try Self.fileSize(path) - before
            let (blocks, bytes) = try array.storedBlocks()
            try report.say(
                "  four elements written; stored for it: \(HumanText.count(blocks, "block")), "
                    + HumanText.bytes(bytes))
            return (
                (),
                "\(HumanText.count(count)) numbers; the file grew by \(HumanText.bytes(max(0, growth)))"
            )
        }
    }

    private mutating func verify(_ database: Database) throws {
        try report.step("Verify") { _ in
            let result = try database.verify()
            if let problem = result.problems.first { throw ToolError.demoFailed("\(problem)") }
            return (
                (),
                "\(HumanText.count(result.records, "record")), \(HumanText.count(result.blocks, "block")), "
                    + "\(HumanText.count(result.transactions, "transaction")): no problems"
            )
        }
    }

    private static func fileSize(_ path: String) throws -> Int {
        var status = stat()
        let (result, code) = SystemFile.call { stat(path, &status) }
        guard result == 0 else {
            throw ToolError.system(doing: "looking at the file", path: path, errno: code)
        }
        return Int(status.st_size)
    }

    private static func text(_ position: Position) -> String {
        String(format: "x %18.6f  y %18.6f  z %18.6f", position.x, position.y, position.z)
    }

    private static func require(_ condition: Bool, _ failure: @autoclosure () -> String) throws {
        if !condition { throw ToolError.demoFailed(failure()) }
    }
}
