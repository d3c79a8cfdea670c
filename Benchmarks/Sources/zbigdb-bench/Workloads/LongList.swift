import BenchReport
import CKernels
import Foundation
import ZBigDB

/// A list of a million integers: appended one by one in ten commits, then 100,000 inserted at random positions in one commit;
/// 100,000 random look-ups and a walk over all elements in a fresh process. Beside it a map with integer keys in the
/// same order, whose insertions lie between the others.
enum LongList {
    private static let count = 1_000_000
    private static let commits = 10
    private static let insertCount = 100_000
    private static let lookUpCount = 100_000
    /// Room between the keys of the map.
    private static let gap = 1 << 20

    static func measure(_ system: String, _ setup: Setup) throws -> [Measurement] {
        let path = setup.folder + "/list-" + system
        func result(_ name: String, _ operations: Int, _ seconds: Double) -> Measurement {
            Measurement(
                system, "list", seconds: seconds, operations: operations, params: ["case": .text(name)])
        }
        let isList = system == "zbigdb"
        if setup.phase == "read" {
            PageCache.warm(path)
            let found = try isList ? readList(path) : readMap(path)
            removeFile(path)
            guard found.elements == count + insertCount else {
                throw BenchError("\(found.elements) elements instead of \(count + insertCount)")
            }
            return [
                result("get", lookUpCount, found.lookUps), result("scan", count + insertCount, found.scan),
            ]
        }
        removeFile(path)
        let database = try Database(path, create: true)
        let connection = try database.connect()
        let times = try isList ? fillList(connection) : fillMap(connection)
        try connection.close()
        try database.close()
        return times.map { result($0.name, $0.operations, $0.seconds) }
    }

    private typealias Times = [(name: String, operations: Int, seconds: Double)]

    /// A position below `limit`.
    private static func place(_ state: inout UInt64, _ limit: Int) -> Int {
        Int(kernels_next(&state) % UInt64(limit))
    }

    private static func fillList(_ connection: Connection) throws -> Times {
        let list = PersistentList<Int>()
        try connection.root.set("list", list)
        try connection.commit()
        let (_, append) = try timed {
            for part in 0..<commits {
                for index in (part * count / commits)..<((part + 1) * count / commits) {
                    try list.append(index)
                }
                try connection.commit()
            }
        }
        var state = RandomRead.seed
        let (_, insert) = try timed {
            for index in 0..<insertCount { try list.insert(index, at: place(&state, count + index)) }
            try connection.commit()
        }
        // As a whole, into a list of its own.
        let other = PersistentList<Int>()
        try connection.root.set("other", other)
        try connection.commit()
        let (_, extend) = try timed {
            try other.append(contentsOf: 0..<count)
            try connection.commit()
        }
        try connection.root.remove("other")
        try connection.commit()
        return [("append", count, append), ("insert", insertCount, insert), ("extend", count, extend)]
    }

    private static func fillMap(_ connection: Connection) throws -> Times {
        let map = PersistentMap<Int, Int>()
        try connection.root.set("list", map)
        try connection.commit()
        let (_, append) = try timed {
            for part in 0..<commits {
                for index in (part * count / commits)..<((part + 1) * count / commits) {
                    try map.updateValue(index, forKey: index * gap)
                }
                try connection.commit()
            }
        }
        var state = RandomRead.seed
        let (_, insert) = try timed {
            for index in 0..<insertCount {
                // Between two keys, and none twice.
                try map.updateValue(index, forKey: place(&state, count) * gap + 1 + index)
            }
            try connection.commit()
        }
        return [("append", count, append), ("insert", insertCount, insert)]
    }

    private static func readList(_ path: String) throws -> (lookUps: Double, scan: Double, elements: Int) {
        let database = try Database(path)
        let connection = try database.connect()
        guard let list = try connection.root.object("list", as: PersistentList<Int>.self) else {
            throw BenchError("the list is missing")
        }
        var state = RandomRead.seed
        var sum = 0
        let (_, lookUps) = try timed {
            for _ in 0..<lookUpCount { sum &+= try list[place(&state, count)] }
        }
        var elements = 0
        let (_, scan) = try timed {
            try list.forEach { _, element in
                sum &+= element
                elements += 1
            }
        }
        guard sum != 0 else { throw BenchError("the list is empty") }
        try connection.close()
        try database.close()
        return (lookUps, scan, elements)
    }

    private static func readMap(_ path: String) throws -> (lookUps: Double, scan: Double, elements: Int) {
        let database = try Database(path)
        let connection = try database.connect()
        guard let map = try connection.root.object("list", as: PersistentMap<Int, Int>.self) else {
            throw BenchError("the map is missing")
        }
        var state = RandomRead.seed
        var sum = 0
        let (_, lookUps) = try timed {
            for _ in 0..<lookUpCount { sum &+= try map[place(&state, count) * gap] ?? 0 }
        }
        var elements = 0
        let (_, scan) = try timed {
            try map.forEach { key, value in
                sum &+= key &+ value
                elements += 1
            }
        }
        guard sum != 0 else { throw BenchError("the map is empty") }
        try connection.close()
        try database.close()
        return (lookUps, scan, elements)
    }
}
