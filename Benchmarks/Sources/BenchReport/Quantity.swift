import Foundation

/// Numbers as people read them.
package enum Quantity {
    /// A number without a unit: three digits that count, and no exponent.
    package static func plain(_ value: Double) -> String {
        guard value.isFinite else { return "\(value)" }
        let size = abs(value)
        if size >= 100 || value == value.rounded() { return grouped(value) }
        return String(format: size >= 10 ? "%.1f" : size >= 0.1 ? "%.2f" : "%.2g", value)
    }

    /// `850 MB/s`, `14.8 GB/s`.
    package static func megabytesPerSecond(_ value: Double) -> String {
        value >= 10_000 ? "\(plain(value / 1000)) GB/s" : "\(plain(value)) MB/s"
    }

    /// `620 /s`, `74.0 M/s`.
    package static func perSecond(_ value: Double) -> String {
        if value >= 1e6 { return "\(plain(value / 1e6)) M/s" }
        return value >= 1e5 ? "\(plain(value / 1e3)) k/s" : "\(plain(value)) /s"
    }

    /// `1.50 ms`, `2.10 s`.
    package static func seconds(_ value: Double) -> String {
        if value >= 1 { return "\(plain(value)) s" }
        return value >= 1e-3 ? "\(plain(value * 1e3)) ms" : "\(plain(value * 1e6)) us"
    }

    /// `12.0 KiB`, `1.00 GiB`.
    package static func bytes(_ value: Double) -> String {
        var size = value
        var unit = "B"
        for next in ["KiB", "MiB", "GiB", "TiB"] where abs(size) >= 1024 {
            size /= 1024
            unit = next
        }
        return "\(plain(size)) \(unit)"
    }

    /// A value of `extra`: the name tells the unit.
    package static func named(_ name: String, _ value: Double) -> String {
        if name.contains("bytes") { return bytes(value) }
        if name.hasSuffix("MBps") { return megabytesPerSecond(value) }
        if name.hasSuffix("_MiB") { return bytes(value * 1_048_576) }
        if name.hasPrefix("ms") || name.hasSuffix("_ms") { return seconds(value / 1e3) }
        if name.hasPrefix("us_") || name.hasSuffix("_us") { return seconds(value / 1e6) }
        if name.hasSuffix("seconds") { return seconds(value) }
        return plain(value)
    }

    /// The name of a value of `extra` without its unit, which ``named(_:_:)`` shows.
    package static func label(_ name: String) -> String {
        let units: Set<Substring> = ["bytes", "MiB", "MBps", "ms", "us", "seconds"]
        return name.split(separator: "_").filter { !units.contains($0) }.joined(separator: " ")
    }

    private static func grouped(_ value: Double) -> String {
        guard abs(value) < 1e15 else { return String(format: "%.3g", value) }
        var digits = String(format: "%.0f", abs(value))
        var groups: [String] = []
        while digits.count > 3 {
            groups.insert(String(digits.suffix(3)), at: 0)
            digits.removeLast(3)
        }
        return (value < 0 ? "-" : "") + ([digits] + groups).joined(separator: ",")
    }
}
