import Foundation

/// Why NumPy could not be asked.
struct NumPyFailure: Error, CustomStringConvertible {
    let description: String
}

/// Runs a Python script, with NumPy as `np`, and returns what it prints.
///
/// NumPy is the independent authority for what slices, element types and `.npy` files mean. It is
/// needed to run the tests: without it they fail and say what to install.
func numpy(_ script: String, input: String = "") throws -> String {
    let remedy = "install it with: apt-get install python3-numpy, or: pip install numpy"
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("numpy-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    // Files instead of pipes: a script that ends early cannot block or kill the tests.
    let inputFile = folder.appendingPathComponent("input")
    let outputFile = folder.appendingPathComponent("output")
    let errorFile = folder.appendingPathComponent("error")
    try Data(input.utf8).write(to: inputFile)
    try Data().write(to: outputFile)
    try Data().write(to: errorFile)

    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["python3", "-c", "import sys, json\nimport numpy as np\n" + script]
    process.standardInput = try FileHandle(forReadingFrom: inputFile)
    process.standardOutput = try FileHandle(forWritingTo: outputFile)
    process.standardError = try FileHandle(forWritingTo: errorFile)
    try process.run()
    process.waitUntilExit()

    let errors = try text(of: errorFile)
    guard process.terminationStatus == 0 else {
        if process.terminationStatus == 127 {
            throw NumPyFailure(
                description: "python3 was not found: install it with: apt-get install python3 python3-numpy")
        }
        if errors.contains("No module named 'numpy'") {
            throw NumPyFailure(description: "python3 has no NumPy: \(remedy)")
        }
        throw NumPyFailure(description: "the Python script failed:\n\(errors)")
    }
    return try text(of: outputFile)
}

/// Reads through a file handle: `Data(contentsOf:)` leaks memory for an empty file.
private func text(of file: URL) throws -> String {
    let handle = try FileHandle(forReadingFrom: file)
    defer { try? handle.close() }
    return String(decoding: try handle.readToEnd() ?? Data(), as: UTF8.self)
}

/// Gives `input` to a Python script as the JSON value `cases` and reads the JSON value it leaves in `answers`.
func numpy<Input: Encodable, Output: Decodable>(
    _ script: String, cases input: Input, as type: Output.Type = Output.self
) throws -> Output {
    let text = String(decoding: try JSONEncoder().encode(input), as: UTF8.self)
    let output = try numpy(
        "cases = json.load(sys.stdin)\nanswers = []\n\(script)\nprint(json.dumps(answers))\n", input: text)
    return try JSONDecoder().decode(Output.self, from: Data(output.utf8))
}
