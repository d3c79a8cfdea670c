import Foundation

@testable import ZBigDB

/// Persistent classes of the tests.
class Party: Persistent {
    @Persisted var name = ""
    @Persisted var friends: [Party] = []
    override class var className: String { "test.Party" }

    convenience init(_ name: String) {
        self.init()
        self.name = name
    }
}

/// A subclass with properties of its own.
final class Company: Party {
    @Persisted var employees = 0
    override class var className: String { "test.Company" }
}

struct Address: Codable, PersistentValue, Equatable {
    var street: String
    var city: String?
    var tags: [String: [Int]] = [:]
    var since: Date?
}

final class Account: Persistent {
    @Persisted var owner: Party?
    @Persisted var balance = 0
    @Persisted var rate = 0.0
    @Persisted var isOpen = true
    @Persisted var opened: Date?
    @Persisted var id: UUID?
    @Persisted var bytes: [UInt8] = []
    @Persisted var labels: Set<String> = []
    @Persisted var totals: [String: Double] = [:]
    @Persisted var address: Address?
    @Persisted var parent: Account?
    @Persisted var anything: PersistentObject?
    @Persisted var history: BigArray?
    /// Not stored.
    var scratch = 7
    override class var className: String { "test.Account" }
}
