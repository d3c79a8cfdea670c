// The README's quick start, as a program.

import ZBigDB

let path = CommandLine.arguments.dropFirst().first ?? "measurements.zbigdb"
let database = try Database(path, create: true)
let connection = try database.connect()

// An array of a million rows. Nothing is stored for zeros.
let heat = try connection.createArray("temperature", shape: [1_000_000, 24], of: Double.self)

// A slice of it, changed in place.
try heat.fill([.range(start: 0, stop: 100), .all], with: 20.5)
try heat.setElement(3, 12, to: 21.75)
try connection.commit(note: "first readings")

// A view is memory: loaded when touched, written in place, undone by an abort.
let noon = try heat.view([.all, 12], as: Double.self)
noon[4] = -99
try connection.abort()
print(noon[3], noon[4])  // 21.75 20.5

// Another connection sees what was committed, from its next transaction on.
let reader = try database.connect()
print(try reader.root.array("temperature").read([3], as: Double.self)[12])  // 21.75
