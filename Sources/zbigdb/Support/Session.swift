import Foundation
import ZBigDB

/// Opens a database for one command.
enum Session {
    /// Runs `body` with a connection that cannot change anything, and shows the moment that was asked for.
    static func read<R>(
        _ path: PlainText, at moment: MomentOption? = nil, _ body: (Database, Connection) throws -> R
    ) throws -> R {
        var configuration = Database.Configuration()
        configuration.isReadOnly = true
        let database = try Database(path.text, configuration: configuration)
        guard let at = moment?.at else { return try body(database, try database.connect()) }
        return try body(database, try database.connect(at: try Moment(typed: at.text, in: database)))
    }

    /// Runs `body` with a connection; whatever it changed and did not commit is aborted.
    static func write<R>(_ path: PlainText, _ body: (Connection) throws -> R) throws -> R {
        let database = try Database(path.text)
        let connection = try database.connect()
        defer { try? connection.abort() }
        do {
            return try body(connection)
        } catch is Interrupted {
            throw Interrupted(consequence: ": nothing was changed")
        }
    }
}

extension Connection {
    /// Commits in the name of the user.
    func commitAsUser(note: String) throws -> TID? {
        try transactionManager.current().user = NSUserName()
        return try commit(note: note)
    }
}
