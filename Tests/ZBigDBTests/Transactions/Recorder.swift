import ZBigDB

/// What was called, in order.
final class CallLog {
    var calls: [String] = []
    func take() -> [String] {
        defer { calls = [] }
        return calls
    }
}

/// The phases of a participant's commit.
enum Phase: String, CaseIterable, Sendable {
    case abort, tpcBegin, commit, tpcVote, tpcFinish, tpcAbort
}

/// A phase was told to fail.
struct Refusal: Error, Equatable {
    let name: String
    let phase: Phase
}

/// A participant that writes down every call and fails where it is told to.
final class Recorder: DataManager {
    let name: String
    let log: CallLog
    var failing: Set<Phase>
    var sortKey: String { name }
    /// Runs at the start of every phase.
    var onPhase: (Phase, Transaction) -> Void = { _, _ in }

    init(_ name: String, _ log: CallLog = CallLog(), failing: Phase...) {
        self.name = name
        self.log = log
        self.failing = Set(failing)
    }

    private func reach(_ phase: Phase, _ transaction: Transaction) throws {
        log.calls.append("\(phase.rawValue) \(name)")
        onPhase(phase, transaction)
        if failing.contains(phase) { throw Refusal(name: name, phase: phase) }
    }

    func abort(_ transaction: Transaction) throws { try reach(.abort, transaction) }
    func tpcBegin(_ transaction: Transaction) throws { try reach(.tpcBegin, transaction) }
    func commit(_ transaction: Transaction) throws { try reach(.commit, transaction) }
    func tpcVote(_ transaction: Transaction) throws { try reach(.tpcVote, transaction) }
    func tpcFinish(_ transaction: Transaction) throws { try reach(.tpcFinish, transaction) }
    func tpcAbort(_ transaction: Transaction) throws { try reach(.tpcAbort, transaction) }
}

/// A synchronizer that writes down every call and fails where it is told to.
final class Listener: Synchronizer {
    let name: String
    let log: CallLog
    var failing: Set<String>
    var onCall: (String, Transaction) -> Void = { _, _ in }

    init(_ log: CallLog, name: String = "", failing: String...) {
        self.name = name
        self.log = log
        self.failing = Set(failing)
    }

    private func reach(_ call: String, _ transaction: Transaction) throws {
        log.calls.append(name.isEmpty ? call : "\(call) \(name)")
        onCall(call, transaction)
        if failing.contains(call) { throw ListenerFailure(call: call) }
    }

    func beforeCompletion(_ transaction: Transaction) throws { try reach("before", transaction) }
    func afterCompletion(_ transaction: Transaction) throws { try reach("after", transaction) }
    func newTransaction(_ transaction: Transaction) throws { try reach("new", transaction) }
}

/// A synchronizer was told to fail.
struct ListenerFailure: Error, Equatable {
    let call: String
}
