/// Collects what a run of blocks shows, joins neighbours that continue each
/// other in the file, and maps each joined segment with one call.
@safe
struct SegmentWriter {
    @unsafe
    struct Segment {
        let address: UnsafeMutableRawPointer
        var length: Int
        let descriptor: Int32
        let offset: Int
        let isZero: Bool

        func continues(at next: UnsafeMutableRawPointer, _ file: Int32, _ fileOffset: Int) -> Bool {
            let meets = unsafe address + length == next
            return unsafe meets && !isZero && descriptor == file && offset + length == fileOffset
        }
    }

    /// In place of a descriptor: memory without a file.
    private static let anonymous: Int32 = -1

    private let zero: Int32
    private var segments: [Segment] = unsafe []
    /// Kernel mappings that all of it makes.
    var areas: Int { unsafe segments.count }
    /// Kernel mappings that the block added last accounts for.
    private(set) var areasOfLast = 0

    init(zero: Int32) { self.zero = zero }

    /// Adds one block. What `content` leaves out shows the file of zeros, which
    /// is a file too: so a private copy always means "written".
    mutating func add(_ content: LoadedContent, at address: UnsafeMutableRawPointer, size: Int, pool: Int32) {
        let before = areas
        switch content {
        case .skipped:
            break
        case .hole:
            unsafe append(address, size, zero, 0, isZero: true)
        case .zeros:
            unsafe append(address, size, Self.anonymous, 0, isZero: true)
        case .frame(let frame):
            unsafe append(address, size, pool, frame.offset, isZero: false)
        case .extents(let extents):
            var at = 0
            for extent in extents {
                precondition(
                    extent.blockOffset >= at && extent.length >= 0
                        && extent.length <= size - extent.blockOffset,
                    "extents of a block must be in order, not overlap and lie in the block")
                if extent.length == 0 { continue }
                if extent.blockOffset > at {
                    unsafe append(address + at, extent.blockOffset - at, zero, 0, isZero: true)
                }
                let start = unsafe address + extent.blockOffset
                unsafe append(start, extent.length, extent.descriptor, extent.fileOffset, isZero: false)
                at = extent.blockOffset + extent.length
            }
            if at < size { unsafe append(address + at, size - at, zero, 0, isZero: true) }
        }
        areasOfLast = max(areas - before, 1)
    }

    /// Adds what differs of a block that shows `old` and is to show `content`: pages that are
    /// elsewhere now, and those in `written`, of which it has private copies.
    mutating func add(
        _ content: LoadedContent, over old: LoadedContent?, written: PageSet?,
        at address: UnsafeMutableRawPointer, size: Int, pool: Int32
    ) {
        let pages = size / systemPageSize
        guard let written, let before = old.flatMap({ Self.places($0, pages) }),
            let after = Self.places(content, pages)
        else {
            unsafe add(content, at: address, size: size, pool: pool)
            return
        }
        var page = 0
        while page < pages {
            let start = page
            let place = after[page]
            while page < pages, written.contains(page) || after[page] != before[page],
                place.continues(after[page], page - start)
            { page += 1 }
            if page == start {
                page += 1
                continue
            }
            let at = unsafe address + start * systemPageSize
            unsafe append(
                at, (page - start) * systemPageSize, place.isZero ? zero : place.descriptor, place.offset,
                isZero: place.isZero)
        }
        var whole = SegmentWriter(zero: zero)
        unsafe whole.add(content, at: address, size: size, pool: pool)
        areasOfLast = whole.areasOfLast
    }

    /// Where a page is shown from.
    private struct Place: Equatable {
        var isZero = true
        var descriptor: Int32 = 0
        var offset = 0

        /// Whether `other` comes so many pages later in the same file.
        func continues(_ other: Place, _ pages: Int) -> Bool {
            isZero
                ? other.isZero
                : !other.isZero && descriptor == other.descriptor
                    && other.offset == offset + pages * systemPageSize
        }
    }

    /// The places of all pages; nil if they are not in the backend's file.
    private static func places(_ content: LoadedContent, _ pages: Int) -> [Place]? {
        var places = [Place](repeating: Place(), count: pages)
        switch content {
        case .hole: break
        case .extents(let extents):
            for extent in extents {
                let first = extent.blockOffset / systemPageSize
                for page in 0..<(extent.length / systemPageSize) where first + page < pages {
                    places[first + page] = Place(
                        isZero: false, descriptor: extent.descriptor,
                        offset: extent.fileOffset + page * systemPageSize)
                }
            }
        case .zeros, .frame, .skipped: return nil
        }
        return places
    }

    private mutating func append(
        _ address: UnsafeMutableRawPointer, _ length: Int, _ descriptor: Int32, _ offset: Int, isZero: Bool
    ) {
        if let last = unsafe segments.last, unsafe !isZero && last.continues(at: address, descriptor, offset)
        {
            unsafe segments[segments.count - 1].length += length
        } else {
            unsafe segments.append(
                Segment(
                    address: address, length: length, descriptor: descriptor, offset: offset, isZero: isZero))
        }
    }

    /// Maps all segments. Returns 0 or the first errno.
    func map(_ protection: Int32) -> Int32 {
        for index in 0..<areas {
            let segment = unsafe segments[index]
            let code =
                unsafe segment.descriptor == Self.anonymous
                ? Mapping.mapZeros(segment.address, segment.length, protection)
                : Mapping.map(segment.address, segment.length, protection, segment.descriptor, segment.offset)
            if code != 0 { return code }
        }
        return 0
    }
}
