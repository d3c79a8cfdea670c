internal import CVirtMem

/// A thread stopped in the signal handler.
struct Fault: Sendable {
    /// Where the C structure lies on the stack of the stopped thread.
    let id: UInt
    let address: UInt
    let region: UInt32
    let kind: Kind

    enum Kind: Sendable {
        case access(Access)
        /// SIGBUS: the file has no page there any more.
        case cutOff
    }

    /// Waits for the next fault.
    static func next() -> Fault {
        let raw = unsafe cvirtmem_next_fault()
        return unsafe Fault(
            id: UInt(bitPattern: raw), address: raw.pointee.address, region: raw.pointee.region,
            kind: kind(raw.pointee.kind))
    }

    private static func kind(_ raw: UInt32) -> Kind {
        switch Int(raw) {
        case Int(CVIRTMEM_BUS): .cutOff
        case Int(CVIRTMEM_WRITE): .access(.write)
        default: .access(.read)
        }
    }

    /// Lets the stopped thread go on; its fault is gone afterwards.
    static func reply(_ id: UInt, _ reply: Int) {
        guard let raw = unsafe UnsafeMutablePointer<cvirtmem_fault>(bitPattern: id) else { return }
        unsafe cvirtmem_reply(raw, UInt32(reply))
    }
}

extension Engine {
    /// Does what one fault needs. Never throws: an error here can reach nobody
    /// but the person who reads standard error.
    func serve(_ fault: Fault) {
        // Replying comes last, when this thread holds no reference to the file
        // any more: the stopped thread may be about to give up the last one.
        if let reply = reply(to: fault) { Fault.reply(fault.id, reply) }
    }

    /// Nil if another thread will reply.
    @inline(never)
    private func reply(to fault: Fault) -> Int? {
        guard case .access(let access) = fault.kind else { return replyToCutOff(fault) }
        while true {
            do throws(VirtMemError) {
                let look = try locked { state throws(VirtMemError) -> Look in
                    state.counts.faults += 1
                    guard let block = state.block(at: fault.address, of: fault.region) else { return .gone }
                    var progress = 0
                    return try state.look(
                        fault.region, block..<(block + 1), access, pin: false, progress: &progress,
                        waiter: { .fault(fault.id) })
                }
                switch look {
                case .ready: return Int(CVIRTMEM_RETRY)
                case .gone: return Int(CVIRTMEM_NOT_OURS)
                case .wait: return nil  // the thread that loads the block, or makes room, replies
                case .makeRoom(let request): try makeRoom(request)
                case .load(let ticket):
                    try load(ticket)
                    return Int(CVIRTMEM_RETRY)
                }
            } catch {
                if FaultFailure(fault, self, access, error).report() == .terminate {
                    return Int(CVIRTMEM_FATAL)
                }
            }
        }
    }

    /// Truncation is told apart from our own faults. It cannot be undone here.
    private func replyToCutOff(_ fault: Fault) -> Int {
        let place = locked { state -> (String, Int)? in
            guard let block = state.block(at: fault.address, of: fault.region) else { return nil }
            return state.handles[fault.region].map { ($0.name, block) }
        }
        guard let (file, block) = place else { return Int(CVIRTMEM_NOT_OURS) }
        _ = FaultFailure(fault, self, .read, .fileCutOff(file: file, block: block)).report()
        return Int(CVIRTMEM_FATAL)
    }
}

extension EngineState {
    /// The block number at an address of a region.
    func block(at address: UInt, of region: UInt32) -> Int? {
        guard let handle = handles[region] else { return nil }
        let base = unsafe UInt(bitPattern: handle.base)
        guard address >= base, address < base + UInt(handle.length) else { return nil }
        let block = Int(address - base) / handle.blockSize
        return block < handle.capacity ? block : nil
    }
}
