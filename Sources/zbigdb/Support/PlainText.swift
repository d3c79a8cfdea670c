import ArgumentParser

/// An argument as it was typed, which may begin with '-' and a digit: `-1`, `-3:, 0`, `-0.5`.
///
/// The parser takes everything that begins with '-' for an option. No option of this tool
/// begins with a digit, so such arguments are marked before parsing and unmarked here.
struct PlainText: ExpressibleByArgument, Sendable {
    let text: String

    private static let mark: Character = "\u{1}"

    init(_ text: String) { self.text = text }

    init?(argument: String) {
        text = argument.first == Self.mark ? String(argument.dropFirst()) : argument
    }

    /// Marks what cannot be an option.
    static func protecting(_ arguments: some Sequence<String>) -> [String] {
        arguments.map { isNumberLike($0) ? "\(mark)\($0)" : $0 }
    }

    private static func isNumberLike(_ argument: String) -> Bool {
        guard argument.first == "-" else { return false }
        let rest = argument.dropFirst().drop { $0 == " " }
        guard let next = rest.first else { return false }
        return next.isNumber || next == "." || next == ":" || ["inf", "nan"].contains(rest.lowercased())
            || rest == "Infinity"
    }
}
