internal import Synchronization

/// The threads behind the signal handler.
///
/// A thread that touches an absent page stops in the handler, which sends the
/// fault here through a queue. A service thread takes it, does what the fault
/// needs, and replies; then the instruction runs again. There is always a
/// thread left for the next fault: the one that takes the last idle place
/// starts another, so that any number of loads may wait for each other (D2).
enum FaultService {
    private static let idle = Atomic<Int>(0)
    private static let mostIdle = 4

    static func start(_ engine: Engine) { startThread(engine) }

    private static func startThread(_ engine: Engine) {
        idle.wrappingAdd(1, ordering: .relaxed)
        if !ServiceThread.start({ main(engine) }) { idle.wrappingSubtract(1, ordering: .relaxed) }
    }

    private static func main(_ engine: Engine) {
        while true {
            let fault = Fault.next()
            if idle.wrappingSubtract(1, ordering: .relaxed).newValue == 0 { startThread(engine) }
            engine.serve(fault)
            if idle.wrappingAdd(1, ordering: .relaxed).newValue > mostIdle {
                idle.wrappingSubtract(1, ordering: .relaxed)
                return
            }
        }
    }
}
