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
/// Piece by piece: of one request the kernel reads no more than it would ahead by itself, which is
/// 128 KiB unless the system is set up otherwise.
public func readAhead(_ descriptor: Int32, _ offset: Int, _ length: Int) {
    let most = 128 << 10
    for start in stride(from: offset, to: offset + length, by: most) {
        let count = min(most, offset + length - start)
        _ = posix_fadvise(descriptor, off_t(start), off_t(count), POSIX_FADV_WILLNEED)
    }
}
