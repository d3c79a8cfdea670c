import Foundation
import ZBigDB

/// Numbers as people read them.
enum HumanText {
    /// `512 B`, `4.0 KiB`, `8.0 GiB`.
    static func bytes(_ count: Int) -> String {
        if count < 1024 { return "\(count) B" }
        var value = Double(count)
        var unit = 0
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        // 1023.96 would print as 1024.0.
        while value >= 1023.95, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return String(format: "%.1f %@", value, units[unit])
    }

    /// `350 us`, `1.2 ms`, `3.40 s`, `2 min 05 s`.
    static func duration(_ duration: Duration) -> String {
        let seconds = seconds(duration)
        if seconds < 0.001 { return String(format: "%.0f us", seconds * 1e6) }
        if seconds < 1 { return String(format: "%.1f ms", seconds * 1e3) }
        if seconds < 60 { return String(format: "%.2f s", seconds) }
        let whole = Int(seconds.rounded())
        return String(format: "%d min %02d s", whole / 60, whole % 60)
    }

    /// A duration as a number.
    static func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
    }

    /// `1,234,567`.
    static func count(_ number: Int) -> String {
        var text = ""
        for (index, digit) in String(number.magnitude).reversed().enumerated() {
            if index > 0, index.isMultiple(of: 3) { text.append(",") }
            text.append(digit)
        }
        return (number < 0 ? "-" : "") + String(text.reversed())
    }

    /// `1 block`, `2 blocks`.
    static func count(_ number: Int, _ noun: String) -> String {
        "\(count(number)) \(noun)\(number == 1 ? "" : "s")"
    }

    /// The moment of a transaction in UTC: `2026-01-31 09:41:00.000123`, with other separators for programs.
    static func date(_ tid: TID, separator: String = " ", zone: String = "") -> String {
        var seconds = time_t(tid.rawValue / 1_000_000)
        var parts = tm()
        guard gmtime_r(&seconds, &parts) != nil else { return "?" }
        return String(
            format: "%04d-%02d-%02d%@%02d:%02d:%02d.%06d%@", Int(parts.tm_year) + 1900,
            Int(parts.tm_mon) + 1, Int(parts.tm_mday), separator, Int(parts.tm_hour), Int(parts.tm_min),
            Int(parts.tm_sec), Int(tid.rawValue % 1_000_000), zone)
    }

    /// The first lines about a transaction: its number, when, by whom, and why.
    static func transaction(_ tid: TID, user: String, note: String) -> [String] {
        let head = "\(tid)  \(date(tid)) UTC" + (user.isEmpty ? "" : "  \(user)")
        if note.isEmpty { return [head] }
        return [head] + note.split(separator: "\n", omittingEmptySubsequences: false).map { "    \($0)" }
    }

    /// The moment of a transaction in the form of ISO 8601.
    static func isoDate(_ tid: TID) -> String { date(tid, separator: "T", zone: "Z") }
}
