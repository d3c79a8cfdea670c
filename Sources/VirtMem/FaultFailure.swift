internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#endif

/// A fault on mapped memory that could not be resolved: a thread stands at an
/// instruction that can neither go on nor throw.
public struct FaultFailure: Sendable, CustomStringConvertible {
    /// What the engine does with the thread.
    public enum Decision: Sendable {
        /// Ends the process at that instruction, after a message on standard error.
        case terminate
        /// Tries once more, for example after making room on a disk. A file that
        /// was cut off ends the process all the same.
        case retry
    }

    /// The file whose block was touched.
    public let file: String
    /// The block, or nil if it is not known any more.
    public let block: Int?
    /// The address that was touched.
    public let address: UInt
    /// Whether it was written to.
    public let isWrite: Bool
    /// Why it could not be loaded or written.
    public let error: VirtMemError

    private static let handler = Mutex<Handler?>(nil)

    /// A function kept in a generic type would be wrapped anew each time it is taken out.
    private struct Handler: Sendable {
        let decide: @Sendable (FaultFailure) -> Decision
    }

    /// Lets the program hear of such faults before the process ends: to log, to
    /// save what it can, to exit in its own way, or to remove the cause.
    ///
    /// It is called on a service thread, and must not touch mapped memory. Nil
    /// removes it: then a message is written to standard error.
    public static func setHandler(_ new: (@Sendable (FaultFailure) -> Decision)?) {
        handler.withLock { $0 = new.map(Handler.init) }
    }

    init(_ fault: Fault, _ engine: Engine, _ access: Access, _ error: VirtMemError) {
        let place = engine.locked { state in
            (state.handles[fault.region]?.name, state.block(at: fault.address, of: fault.region))
        }
        file = place.0 ?? "a closed file"
        block = place.1
        address = fault.address
        isWrite = access == .write
        self.error = error
    }

    /// A sentence for people.
    public var description: String {
        let what = isWrite ? "write to" : "read of"
        let place = block.map { "block \($0) of \(file)" } ?? file
        return "\(what) \(place), mapped at 0x\(String(address, radix: 16)), failed: \(error)"
    }

    /// Asks the program, or tells the person who reads standard error.
    func report() -> Decision {
        if let handler = Self.handler.withLock({ $0 }) { return handler.decide(self) }
        let text = "VirtMem: \(self)\n"
        unsafe Array(text.utf8).withUnsafeBytes { bytes in
            _ = unsafe write(STDERR_FILENO, bytes.baseAddress, bytes.count)
        }
        return .terminate
    }
}
