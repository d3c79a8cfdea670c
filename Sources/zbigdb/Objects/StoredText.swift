import Foundation
import ZBigDB

extension StoredValue {
    /// What was typed: a number, true, false, null, or JSON; everything else is text.
    init(typed text: String) {
        guard let json = try? JSONParser.parse(text), json != .string(text) else {
            self = .text(text)
            return
        }
        self.init(json)
    }

    /// - Throws: ``ToolError/invalidJSON(position:reason:)``, unless it is plain text.
    init(_ json: JSON) {
        switch json {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .string(let value): self = .text(value)
        case .array(let items): self = .list(items.map { StoredValue($0) })
        case .object(let entries):
            self = .map(
                entries.sorted { $0.key < $1.key }.map {
                    Entry(key: .text($0.key), value: StoredValue($0.value))
                })
        case .number(let text):
            if let value = Int64(text) {
                self = .integer(value)
            } else if let value = UInt64(text) {
                self = .unsigned(value)
            } else {
                self = .real(Double(text) ?? .nan)
            }
        }
    }

    /// As JSON: what JSON does not have is an object with a name that begins with `$`.
    var json: JSON {
        switch self {
        case .null: .null
        case .bool(let value): .bool(value)
        case .integer(let value): .integer(value)
        case .unsigned(let value): .integer(value)
        case .real(let value): .real(value)
        case .text(let value): .string(value)
        case .bytes(let value): .object(["$bytes": .string(Self.hex(value))])
        case .list(let items): .array(items.map(\.json))
        case .map(let entries):
            .object(
                Dictionary(
                    entries.map { ($0.key.plain, $0.value.json) }, uniquingKeysWith: { first, _ in first }))
        case .reference(let oid, let name):
            .object(["$class": .string(name), "$ref": .string(oid.description)])
        case .tagged(37, .bytes(let bytes)): .object(["$uuid": .string(Self.hex(bytes))])
        case .tagged(let tag, let value): .object(["$tag": .integer(tag), "value": value.json])
        }
    }

    /// As a name, without quotes.
    var plain: String {
        if case .text(let value) = self { return value }
        return text
    }

    /// For people.
    var text: String {
        switch self {
        case .text(let value): return JSON.string(value).text
        case .bytes(let value): return "h'\(Self.hex(value))'"
        case .reference(let oid, let name): return "-> \(name) \(oid)"
        case .list(let items): return "[" + items.map(\.text).joined(separator: ", ") + "]"
        case .map(let entries):
            return "{" + entries.map { "\($0.key.text): \($0.value.text)" }.joined(separator: ", ") + "}"
        case .tagged(1, .real(let seconds)): return Date(timeIntervalSince1970: seconds).formatted(.iso8601)
        case .tagged(1, .integer(let seconds)):
            return Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
        case .tagged(37, .bytes(let bytes)): return Self.hex(bytes)
        case .tagged(258, let value): return value.text
        case .tagged(let tag, let value): return "\(tag)(\(value.text))"
        default: return json.text
        }
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

extension StoredObject {
    /// Whether its entries are the elements of a list.
    var isList: Bool { className == ListObject.className }
}

/// Objects, maps and lists as the tool shows them.
struct ObjectPrinter {
    let connection: Connection
    /// Entries of a map, or elements of a list, that are shown.
    var limit = 100

    /// The lines about one object.
    func lines(_ oid: OID) throws -> [String] {
        let object = try connection.storedObject(oid)
        var lines = [
            "\(oid) \(object.className)" + (object.stateVersion > 1 ? ", form \(object.stateVersion)" : "")
        ]
        if case .map(let fields) = object.state {
            for field in fields { lines.append("  \(field.key.plain): \(field.value.text)") }
        }
        if object.entryCount > 0 {
            let noun = object.isList ? ("element", "elements") : ("entry", "entries")
            lines.append(
                "  \(HumanText.count(object.entryCount)) \(object.entryCount == 1 ? noun.0 : noun.1)")
            var shown = 0
            try connection.forEachStoredEntry(of: oid) { key, value in
                if shown == limit {
                    lines.append("    ...")
                    return false
                }
                lines.append("    \(key.text): \(value.text)")
                shown += 1
                return true
            }
        }
        return lines
    }

    func json(_ oid: OID) throws -> JSON {
        let object = try connection.storedObject(oid)
        var facts: [String: JSON] = [
            "class": .string(object.className), "oid": .string(oid.description), "state": object.state.json,
            "version": .integer(object.stateVersion),
        ]
        if object.entryCount > 0 {
            var entries: [JSON] = []
            try connection.forEachStoredEntry(of: oid) { key, value in
                guard entries.count < limit else { return false }
                entries.append(object.isList ? value.json : .object(["key": key.json, "value": value.json]))
                return true
            }
            facts[object.isList ? "elements" : "entries"] = .array(entries)
            facts[object.isList ? "elementCount" : "entryCount"] = .integer(object.entryCount)
        }
        return .object(facts)
    }

    /// The objects that an object refers to.
    func references(_ oid: OID) throws -> [OID] {
        var found: [OID] = []
        func look(_ value: StoredValue) {
            switch value {
            case .reference(let oid, _): found.append(oid)
            case .list(let items): items.forEach(look)
            case .map(let entries): entries.forEach { look($0.value) }
            case .tagged(_, let value): look(value)
            default: break
            }
        }
        look(try connection.storedObject(oid).state)
        var seen = 0
        try connection.forEachStoredEntry(of: oid) { _, value in
            look(value)
            seen += 1
            return seen < limit
        }
        return found
    }
}
