import Testing
import VirtMem

@testable import ZBigDB

/// Writes through a view while the transaction commits that changed the same block: they belong to the next one.
@Suite("Late writes")
struct LateWriteTests {
    private static let pages = 16
    private static let perPage = 4096 / 8
    private let temporary: TemporaryDatabase
    private let connection: Connection
    private let array: BigArray
    private var database: Database { temporary.database }

    init() throws {
        temporary = try TemporaryDatabase()
        connection = try temporary.database.connect()
        array = try connection.createArray("a", shape: [Self.pages * Self.perPage], of: Int64.self)
        for page in 0..<Self.pages { try array.setElement(page * Self.perPage, to: Int64(100 + page)) }
        _ = try connection.createArray("other", shape: [Self.pages * Self.perPage], of: Int64.self)
        try connection.commit()
    }

    /// The first element of each page.
    private func elements(_ array: BigArray) throws -> [Int64] {
        try (0..<Self.pages).map { try array.element($0 * Self.perPage, as: Int64.self) }
    }

    /// Commits a change of all pages but the last two, so that the block is stored as a whole and its old place
    /// becomes free, and changes the last page in a phase of that commit.
    private func commitAndWrite(in late: Phase) throws {
        for page in 0..<(Self.pages - 2) { try array.setElement(page * Self.perPage, to: Int64(200 + page)) }
        let view = try array.view(as: Int64.self)
        let other = Recorder("~")
        other.onPhase = { phase, _ in
            if phase == late { view[(Self.pages - 1) * Self.perPage] = 999 }
            // Others commit before this connection looks at its own commit.
            if phase == .tpcFinish { #expect(throws: Never.self) { try churn(rounds: 2) } }
        }
        try connection.transactionManager.current().join(other)
        try connection.commit()
    }

    private var committed: [Int64] {
        (0..<Self.pages - 2).map { Int64(200 + $0) } + [
            Int64(100 + Self.pages - 2), Int64(100 + Self.pages - 1),
        ]
    }

    /// Others commit until whatever space became free is used again.
    private func churn(rounds: Int = 200) throws {
        let other = try database.connect()
        let array = try other.root.array("other")
        for round in 0..<rounds {
            for page in 0..<(round % 3 == 0 ? 1 : Self.pages) {
                try array.setElement(page * Self.perPage, to: Int64(-round))
            }
            try other.commit()
        }
        try other.close()
    }

    @Test("E36 pages not written keep showing what is committed", arguments: [Phase.tpcVote, .tpcFinish])
    func kept(_ phase: Phase) throws {
        try commitAndWrite(in: phase)
        let expected = Array(committed.dropLast()) + [999]
        #expect(try elements(array) == expected)
        try churn()
        #expect(try elements(array) == expected)
        try connection.commit()
        try churn()
        let reader = try database.connect()
        #expect(try elements(reader.root.array("a")) == expected)
        #expect(try elements(array) == expected)
        try reader.close()
    }

    @Test("E36 an abort drops them, and nothing else", arguments: [Phase.tpcVote, .tpcFinish])
    func dropped(_ phase: Phase) throws {
        try commitAndWrite(in: phase)
        try churn()
        try connection.abort()
        #expect(try elements(array) == committed)
        try churn()
        #expect(try elements(array) == committed)
    }
}
