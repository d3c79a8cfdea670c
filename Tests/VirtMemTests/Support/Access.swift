import Foundation

@testable import VirtMem

let page = systemPageSize

// Foundation has a type of this name.
typealias FileHandle = VirtMem.FileHandle

// Access through the lasting view, that is, by faults. Not optimized: a read
// whose result is not used must still happen.

@inline(never) @_optimize(none)
func readByte(_ address: UInt) -> UInt8 {
    UnsafeRawPointer(bitPattern: address)?.load(as: UInt8.self) ?? 0
}

extension FileHandle {
    @inline(never) @_optimize(none)
    func byte(_ block: Int, _ offset: Int = 0) -> UInt8 {
        baseAddress.load(fromByteOffset: block * blockSize + offset, as: UInt8.self)
    }

    @inline(never) @_optimize(none)
    func write(_ value: UInt8, _ block: Int, _ offset: Int = 0) {
        baseAddress.storeBytes(of: value, toByteOffset: block * blockSize + offset, as: UInt8.self)
    }

    /// A whole block, copied by scoped access.
    func bytes(_ block: Int) throws -> [UInt8] {
        try withUnsafeBytes(of: (block * blockSize)..<((block + 1) * blockSize)) { Array($0) }
    }

    func writeScoped(_ value: UInt8, _ block: Int, _ offset: Int = 0) throws {
        let at = block * blockSize + offset
        try withUnsafeMutableBytes(of: at..<(at + 1)) { $0[0] = value }
    }
}

// What the tables say.
extension FileHandle {
    func state(_ block: Int) -> Block.State? { engine.locked { $0.handles[id]?.blocks[block]?.state } }

    /// Clean blocks of this handle that may be evicted, oldest first.
    var evictable: [Int] {
        engine.locked { state in
            state.recency.prefix(.max).filter { $0.handle == id }.map(\.number)
        }
    }

    @discardableResult
    func reclaim(_ limit: Int = 64) throws -> Int {
        try engine.locked { state throws(VirtMemError) in try state.reclaim(limit) }
    }

    var activeLoads: Int { engine.locked { $0.handles[id]?.activeLoads ?? 0 } }
}

/// A file of /proc, which gives a page or so at each read.
private func procText(_ path: String) -> String {
    let descriptor = open(path, O_RDONLY)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var text: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = read(descriptor, &part, part.count)
        if count <= 0 { return String(decoding: text, as: UTF8.self) }
        text += part.prefix(count)
    }
}

/// How many kernel mappings this process has.
func countMappings() -> Int {
    let descriptor = open("/proc/self/maps", O_RDONLY)
    precondition(descriptor >= 0, "/proc/self/maps cannot be read")
    defer { close(descriptor) }
    var part = [UInt8](repeating: 0, count: 1 << 16)
    var lines = 0
    while true {
        let count = read(descriptor, &part, part.count)
        if count <= 0 { return lines }
        part.withUnsafeBytes { bytes in
            var at = bytes.baseAddress!
            let end = at + count
            while let found = memchr(at, 10, end - at) {
                lines += 1
                at = UnsafeRawPointer(found) + 1
            }
        }
    }
}

/// A line of /proc/self/maps.
struct KernelMapping {
    let addresses: Range<UInt>
    let protection: String
    let offset: Int
    let path: String
}

/// What the kernel says about the addresses of `range`.
func kernelMappings(_ range: Range<UInt>) -> [KernelMapping] {
    procText("/proc/self/maps").split(separator: "\n").compactMap { line in
        let fields = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
        let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
        guard ends.count == 2, ends[0] < range.upperBound, ends[1] > range.lowerBound else { return nil }
        return KernelMapping(
            addresses: ends[0]..<ends[1], protection: String(fields[1]),
            offset: Int(fields[2], radix: 16) ?? -1,
            path: fields.count > 5 ? fields[5].trimmingCharacters(in: .whitespaces) : "")
    }
}

extension FileHandle {
    func addresses(_ blocks: Range<Int>) -> Range<UInt> {
        let base = UInt(bitPattern: baseAddress)
        return (base + UInt(blocks.lowerBound * blockSize))..<(base + UInt(blocks.upperBound * blockSize))
    }

    func mappings(_ block: Int) -> [KernelMapping] { kernelMappings(addresses(block..<(block + 1))) }

    /// The kernel's word for how block `block` may be used: "---", "r--" or "rw-".
    func protection(_ block: Int) -> String {
        let all = Set(mappings(block).map { String($0.protection.prefix(3)) })
        return all.count == 1 ? all.first ?? "" : all.sorted().joined(separator: ",")
    }
}

/// The sum of a field of /proc/self/smaps over the mappings inside `range`, in bytes.
func kernelMemory(_ field: String, _ range: Range<UInt>) -> Int {
    let text = procText("/proc/self/smaps")
    var isInside = false
    var sum = 0
    for line in text.split(separator: "\n") {
        let words = line.split(separator: " ", omittingEmptySubsequences: true)
        let ends = words[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
        if ends.count == 2 {
            isInside = ends[0] < range.upperBound && ends[1] > range.lowerBound
        } else if isInside, words[0] == "\(field):" {
            sum += (Int(words[1]) ?? 0) * 1024
        }
    }
    return sum
}
