// Old versions are kept: the past can be looked at, and a transaction undone.

import ZBigDB

let path = CommandLine.arguments.dropFirst().first ?? "prices.zbigdb"
var configuration = Database.Configuration()
configuration.keepsHistory = true
let database = try Database(path, create: true, configuration: configuration)
let connection = try database.connect()

let prices = PersistentMap<String, Double>()
try connection.root.set("prices", prices)
try prices.updateValue(1.5, forKey: "bread")
try connection.commit(note: "opened")
try database.addTag("opening")

try prices.updateValue(150, forKey: "bread")
let slip = try connection.commit(note: "a slip")

// A connection to the past is like any other, but changes nothing.
let before = try database.read(at: .tag("opening")) { past in
    try past.root.object("prices", as: PersistentMap<String, Double>.self)?["bread"]
}
print(before ?? 0, try prices["bread"] ?? 0)  // 1.5 150.0

// Undoing is a transaction of its own; what others changed since stays.
if let slip { try database.undo(slip) }
try connection.begin()
print(try prices["bread"] ?? 0, try connection.history(of: prices).map(\.note))
// 1.5 ["undo: a slip", "a slip", "opened"]

// From the tag on everything stays; older versions go, and what nothing leads to.
try database.pack(before: .tag("opening"))
