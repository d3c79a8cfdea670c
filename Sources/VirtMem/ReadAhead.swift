internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#endif

/// Has the kernel read what is going to be touched, where it is not in memory
/// yet. Its own read-ahead follows the file, and pieces of blocks lie anywhere in it.
struct ReadAhead {
    /// Extents this close in the file are read in one go.
    private static let joinedGap = 64 << 10
    /// Bytes asked for at once.
    private static let most = 128 << 20

    private var runs: [FileExtent] = []

    /// Adds the extents of a block that lies at `address`, if its first page is not in memory.
    mutating func add(_ extents: [FileExtent], at address: UnsafeMutableRawPointer) {
        guard let first = extents.first, unsafe !isInMemory(address + first.blockOffset) else { return }
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
    ///
    /// Long runs are left to the kernel: by itself it reads ahead of faults, too, into large pages.
    func start() {
        var rest = Self.most
        for run in runs {
            let limit = ReadAheadLimit.of(run.descriptor)
            if Self.isEnough(run.descriptor), run.length >= 2 * limit { continue }
            askKernel(run.descriptor, run.fileOffset, min(run.length, rest))
            rest -= run.length
            if rest <= 0 { return }
        }
    }

    /// Whether the kernel reads so far ahead by itself that nobody needs to ask it.
    static func isEnough(_ descriptor: Int32) -> Bool {
        ReadAheadLimit.of(descriptor) >= ReadAheadLimit.large
    }
}

/// Whether the page of a mapping that begins at `address` is in memory; also if that cannot be told.
public func isInMemory(_ address: UnsafeMutableRawPointer) -> Bool {
    var state: UInt8 = 1
    return unsafe mincore(address, systemPageSize, &state) != 0 || state & 1 != 0
}

/// Has a part of a file read that is about to be used, as a whole and in order; does not wait for it.
///
/// A thread goes through it as `read` would: for that the kernel takes memory in large pages, but
/// in small ones where it is asked for a range, which costs more than the reading. Short
/// parts it is asked for, and all where it reads little ahead by itself.
public func readAhead(_ descriptor: Int32, _ offset: Int, _ length: Int) {
    if length >= 2 << 20, ReadAhead.isEnough(descriptor),
        SequentialReader.shared.read(descriptor, offset, length)
    {
        return
    }
    askKernel(descriptor, offset, length)
}

/// Has the kernel begin to read a part of a file.
///
/// Piece by piece: of one request it reads no more than it would ahead by itself. Small pieces
/// cost more, since each is a request to the disk.
private func askKernel(_ descriptor: Int32, _ offset: Int, _ length: Int) {
    let most = ReadAheadLimit.of(descriptor)
    for start in stride(from: offset, to: offset + length, by: most) {
        let count = min(most, offset + length - start)
        _ = posix_fadvise(descriptor, off_t(start), off_t(count), POSIX_FADV_WILLNEED)
    }
}

/// How many bytes the kernel reads ahead at most, on each disk.
private enum ReadAheadLimit {
    /// From here on the kernel keeps a disk busy by itself.
    static let large = 1 << 20
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
