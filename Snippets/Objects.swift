// Objects, maps and transactions as closures: the README's second example.

import ZBigDB

final class Account: Persistent {
    @Persisted var owner = ""
    @Persisted var balance = 0
    @Persisted var parent: Account?
    @Persisted var payments = PersistentMap<Int, String>()
}

let path = CommandLine.arguments.dropFirst().first ?? "bank.zbigdb"
let database = try Database(path, create: true)

// Everything in the closure is committed, or nothing. After a conflict it runs again.
try database.write(note: "open an account") { connection in
    let accounts = PersistentMap<String, Account>()
    try connection.root.set("accounts", accounts)
    let account = Account()
    account.owner = "Ann"
    account.balance = 100
    try account.payments.updateValue("opened", forKey: 1)
    try accounts.updateValue(account, forKey: "ann")
}

// Objects are loaded when they are looked at. A map is never loaded as a whole.
let (balance, names) = try database.read { connection in
    let accounts = try connection.root.object("accounts", as: PersistentMap<String, Account>.self)
    return (try accounts?["ann"]?.balance, try accounts?.page(in: "a"..<"c").map(\.key))
}
print(balance ?? 0, names ?? [])  // 100 ["ann"]
