internal import VirtMem

/// Pointers into an array that stay valid.
///
/// The view is memory: elements are loaded when they are touched, changed in
/// place, and after a commit or abort the view shows the new state. It sees the
/// elements there were when it was made; if the array grows, take another view.
///
/// What can go wrong while touching memory cannot be thrown: if a block cannot
/// be loaded, the process ends with a message that names the array, the block
/// and the cause. And system calls cannot load: hand them memory from
/// ``BigArray/withUnsafeBytes(of:_:)`` instead. A view must not be used after its
/// connection was closed.
@safe
public struct ArrayView<Element: ArrayElement> {
    /// The array it shows.
    public let array: BigArray
    /// Where its elements lie, from the start of the array's memory.
    public let layout: StridedLayout

    private let window: WindowKeeper
    @usableFromInline let base: UnsafeMutableRawPointer

    init(_ array: BigArray, _ layout: StridedLayout) throws {
        self.array = array
        let memory = try array.memory()
        let blocks = 0..<((array.byteCount + memory.blockSize - 1) / memory.blockSize)
        let window = try memory.window(blocks)
        memory.mapAhead(blocks)
        self.window = WindowKeeper(window)
        unsafe base = window.baseAddress
        self.layout = layout
    }

    /// The length of each axis.
    @inlinable public var shape: [Int] { layout.shape }
    /// The number of elements.
    @inlinable public var count: Int { layout.count }

    /// The memory of the array the elements lie in.
    @inlinable public var baseAddress: UnsafeMutableRawPointer { unsafe base + layout.offset }

    /// The element at an index of each axis; indices are checked, and never negative.
    @inlinable
    public subscript(_ indices: Int...) -> Element {
        get { unsafe base.loadUnaligned(fromByteOffset: offset(indices), as: Element.self) }
        nonmutating set {
            unsafe base.storeBytes(of: newValue, toByteOffset: offset(indices), as: Element.self)
        }
    }

    /// The element at an index of a view with one axis.
    @inlinable
    public subscript(_ index: Int) -> Element {
        get { unsafe base.loadUnaligned(fromByteOffset: offset(index), as: Element.self) }
        nonmutating set {
            unsafe base.storeBytes(of: newValue, toByteOffset: offset(index), as: Element.self)
        }
    }

    @usableFromInline
    func offset(_ indices: [Int]) -> Int {
        precondition(indices.count == layout.rank, "one index for each axis is needed")
        var at = layout.offset
        for axis in indices.indices {
            precondition(indices[axis] >= 0 && indices[axis] < layout.shape[axis], "index out of range")
            at += indices[axis] * layout.strides[axis]
        }
        return at
    }

    @inlinable
    func offset(_ index: Int) -> Int {
        precondition(layout.rank == 1 && index >= 0 && index < layout.shape[0], "index out of range")
        return layout.offset + index * layout.strides[0]
    }

    /// Runs `body` with the elements as one buffer, if they lie side by side in C order.
    ///
    /// - Throws: ``ArrayError/notContiguous``.
    @inlinable
    public func withUnsafeBufferPointer<R>(_ body: (UnsafeMutableBufferPointer<Element>) throws -> R) throws
        -> R
    {
        guard layout.isContiguous(.c) else { throw ArrayError.notContiguous }
        let start = unsafe baseAddress.assumingMemoryBound(to: Element.self)
        return try unsafe body(UnsafeMutableBufferPointer(start: start, count: count))
    }
}

/// Holds the window without showing its type.
final class WindowKeeper {
    private let window: Window
    init(_ window: Window) { self.window = window }
}

extension BigArray {
    /// A view of a slice that stays valid. See ``ArrayView`` for what that means.
    ///
    /// - Throws: ``ArrayError/dtypeMismatch(expected:actual:)``, or what opening the memory throws.
    public func view<T: ArrayElement>(_ expression: SliceExpression = [.ellipsis], as type: T.Type) throws
        -> ArrayView<T>
    {
        try checkType(type)
        return try ArrayView(self, layout.applying(expression))
    }
}
