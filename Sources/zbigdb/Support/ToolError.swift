import Foundation
import ZBigDB

/// What the tool itself refuses; problems of the database are the library's errors.
enum ToolError: Error, CustomStringConvertible {
    /// The system refused something.
    case system(doing: String, path: String, errno: Int32)
    /// The name is taken and was not to be replaced.
    case nameExists(name: String)
    /// A byte of a truth value is neither 0 nor 1.
    case invalidBool(file: String, item: Int, byte: UInt8)
    /// The items are no numbers.
    case notNumeric(name: String, dtype: DType)
    /// A value cannot be stored as an item.
    case invalidValue(String, reason: String)
    /// The object has no such property or entry.
    case noPart(name: String, className: String)
    /// Text is no moment.
    case invalidMoment(String)
    /// Text is no JSON.
    case invalidJSON(position: Int, reason: String)
    /// The files of the demo are not there.
    case missingData(searched: [String])
    /// The demo saw something other than it had to.
    case demoFailed(String)
    /// The check found problems, which have been printed.
    case damaged(problems: Int)

    /// A sentence for people.
    var description: String {
        switch self {
        case .system(let doing, let path, let code):
            "\(path): \(doing) failed: \(String(cString: strerror(code)))"
        case .nameExists(let name):
            "\"\(name)\" exists already; choose another name, or add --replace"
        case .invalidBool(let file, let item, let byte):
            "\(file): item \(item): the byte \(byte) is no truth value: only 0 and 1 are; "
                + "import the array as unsigned bytes (uint8) instead"
        case .notNumeric(let name, let dtype) where !dtype.fields.isEmpty:
            "\"\(name)\" holds records; choose a field of numbers with --field: "
                + dtype.fields.map(\.name).joined(separator: ", ")
        case .notNumeric(let name, let dtype):
            "\"\(name)\" holds items of type \(dtype), which are no numbers"
        case .invalidValue(let text, let reason):
            "the value \(text) cannot be stored: \(reason)"
        case .noPart(let name, let className):
            "the \(className) has no \"\(name)\"; see what it has with: get DB NAME"
        case .invalidMoment(let text):
            "\"\(text)\" is no moment: no tag, no transaction (16 hexadecimal digits), no date "
                + "(2026-01-31, or 2026-01-31 09:41:00, in UTC)"
        case .invalidJSON(let position, let reason):
            "the value cannot be read at position \(position): \(reason)"
        case .missingData(let searched):
            "the tables jpl-mars.npy, jpl-earthmoon.npy, jpl-sun.npy and constants.npy were not found in "
                + searched.joined(separator: ", ") + "; name their folder with --data"
        case .demoFailed(let what):
            "the demo failed: \(what)"
        case .damaged(let problems):
            "\(HumanText.count(problems, "problem")) found; restore the database from a copy"
        }
    }
}
