/// A participant that saves work where it is the only one: nobody else can still say no after its yes.
protocol SoleParticipant: DataManager {
    /// ``DataManager/tpcVote(_:)`` and ``DataManager/tpcFinish(_:)`` in one.
    func tpcVoteAndFinish(_ transaction: Transaction) throws
}
