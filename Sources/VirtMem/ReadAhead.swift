internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#endif

/// Has the kernel read what is going to be touched, where it is not in memory
/// yet. The kernel's own read-ahead starts anew with every mapping, and blocks are
/// mapped one by one.
struct ReadAhead {
    /// Extents this close in the file are read in one go.
    private static let joinedGap = 64 << 10

    private var runs: [FileExtent] = []

    /// Adds the extents of a block that lies at `address`, if its first page is not in memory.
    mutating func add(_ extents: [FileExtent], at address: UnsafeMutableRawPointer) {
        guard let first = extents.first, unsafe !Self.isInMemory(address + first.blockOffset) else { return }
        for extent in extents {
            if let last = runs.last, last.descriptor == extent.descriptor,
                case let gap = extent.fileOffset - (last.fileOffset + last.length),
                (0...Self.joinedGap).contains(gap)
            {
                runs[runs.count - 1].length += gap + extent.length
            } else {
                runs.append(extent)
            }
        }
    }

    /// Starts the reading; does not wait for its end.
    func start() {
        for run in runs {
            readAhead(run.descriptor, run.fileOffset, run.length)
        }
    }

    private static func isInMemory(_ address: UnsafeMutableRawPointer) -> Bool {
        var state: UInt8 = 1
        return unsafe mincore(address, systemPageSize, &state) != 0 || state & 1 != 0
    }
}

/// Has the kernel begin to read a part of a file.
///
/// Piece by piece: of one request the kernel reads no more than it would ahead by itself. Small pieces
/// cost more, since each is a request to the disk.
public func readAhead(_ descriptor: Int32, _ offset: Int, _ length: Int) {
    let most = ReadAheadLimit.of(descriptor)
    for start in stride(from: offset, to: offset + length, by: most) {
        let count = min(most, offset + length - start)
        _ = posix_fadvise(descriptor, off_t(start), off_t(count), POSIX_FADV_WILLNEED)
    }
}

/// How many bytes the kernel reads ahead at most, on each disk.
private enum ReadAheadLimit {
    /// What it is unless the system is set up otherwise.
    private static let usual = 128 << 10
    private static let known = Mutex<[UInt: Int]>([:])

    static func of(_ descriptor: Int32) -> Int {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { return usual }
        let device = UInt(status.st_dev)
        return known.withLock { known in
            if let limit = known[device] { return limit }
            let limit = read(device)
            known[device] = limit
            return limit
        }
    }

    private static func read(_ device: UInt) -> Int {
        let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00))
        let disk = "/sys/dev/block/\(major):\(minor)/"
        // A partition has what its disk has.
        for place in ["", "../"] {
            let descriptor = unsafe open(disk + place + "queue/read_ahead_kb", O_RDONLY | O_CLOEXEC)
            if descriptor < 0 { continue }
            defer { close(descriptor) }
            var text = [UInt8](repeating: 0, count: 16)
            let count = unsafe Glibc.read(descriptor, &text, text.count)
            let digits = text.prefix(max(count, 0)).prefix { $0 >= 48 && $0 <= 57 }
            let kilobytes = digits.reduce(0) { $0 * 10 + Int($1) - 48 }
            return min(max(kilobytes << 10, usual), 4 << 20)
        }
        return usual
    }
}
