import ArgumentParser
import Foundation
import ZBigDB

/// `--at`: the moment of the past that a command shows.
struct MomentOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Show the database as it was: at a transaction, a date in UTC, or a tag.",
            valueName: "tid|date|tag"))
    var at: PlainText?
}

extension Moment {
    /// What was typed: the name of a tag, the number of a transaction as the log prints it, or a date.
    ///
    /// - Throws: ``ToolError/invalidMoment(_:)``.
    init(typed text: String, in database: Database) throws {
        if try database.tags().contains(where: { $0.name == text }) {
            self = .tag(text)
        } else if let tid = TID(typed: text) {
            self = .transaction(tid)
        } else if let date = Self.date(text) {
            self = .date(date)
        } else {
            throw ToolError.invalidMoment(text)
        }
    }

    /// `2026-01-31`, `2026-01-31 09:41`, `2026-01-31T09:41:00.000123Z`, in UTC; the parts left out are zeros.
    private static func date(_ text: String) -> Date? {
        let pattern =
            /(\d{4})-(\d{2})-(\d{2})(?:[ T](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?(?: ?(?:Z|UTC))?)?/
        guard let match = try? pattern.wholeMatch(in: text) else { return nil }
        func number(_ part: Substring?) -> Int { part.flatMap { Int($0) } ?? 0 }
        var components = DateComponents()
        components.timeZone = TimeZone(identifier: "UTC")
        components.calendar = Calendar(identifier: .gregorian)
        (components.year, components.month, components.day) = (
            number(match.1), number(match.2), number(match.3)
        )
        (components.hour, components.minute, components.second) = (
            number(match.4), number(match.5), number(match.6)
        )
        guard components.isValidDate, let date = components.date else { return nil }
        let fraction =
            match.7.map { $0 + String(repeating: "0", count: 6 - $0.count) }.flatMap { Double($0) } ?? 0
        return date.addingTimeInterval(fraction / 1e6)
    }
}

extension TID {
    /// 16 hexadecimal digits.
    init?(typed text: String) {
        guard text.count == 16, text.allSatisfy(\.isHexDigit), let value = UInt64(text, radix: 16) else {
            return nil
        }
        self.init(rawValue: value)
    }
}
