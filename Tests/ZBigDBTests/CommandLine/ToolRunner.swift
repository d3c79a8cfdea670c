import Foundation

/// Runs the built command line tool as a process of its own.
struct ToolRunner {
    /// What a run left behind.
    struct Result {
        let exitCode: Int32
        let output: Data
        let errors: String

        var text: String { String(decoding: output, as: UTF8.self) }

        /// The output as JSON.
        func decoded<T: Decodable>(as type: T.Type = T.self) throws -> T {
            try JSONDecoder().decode(T.self, from: output)
        }
    }

    /// The tool was not where the tests are.
    struct Missing: Error, CustomStringConvertible {
        let path: String
        var description: String { "\(path) is missing; build it with: swift build" }
    }

    let folder: TemporaryFolder
    private let tool: URL

    init() throws {
        folder = try TemporaryFolder()
        tool = try Self.tool()
    }

    /// A built program lies beside the tests, whatever the configuration.
    static func tool(_ name: String = "zbigdb") throws -> URL {
        var candidates: [URL] = []
        #if os(Linux)
            candidates.append(URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath())
        #endif
        candidates.append(URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath())
        candidates += Bundle.allBundles.map(\.bundleURL)
        let tools = candidates.map { $0.deletingLastPathComponent().appendingPathComponent(name) }
        guard let tool = tools.first(where: { FileManager.default.isExecutableFile(atPath: $0.path) }) else {
            throw Missing(path: tools[0].path)
        }
        return tool
    }

    /// The path of a file in this runner's folder.
    func file(_ name: String) -> String { folder.file(name) }

    /// A process that is about to run, in this runner's folder.
    func process(_ arguments: [String]) -> Process {
        let process = Process()
        process.executableURL = tool
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
        return process
    }

    /// Runs the tool to its end. Files instead of pipes: nothing can block.
    func run(_ arguments: [String], input: String? = nil) throws -> Result {
        let mark = UUID().uuidString
        let (outputPath, errorPath) = (file("out-\(mark)"), file("err-\(mark)"))
        for path in [outputPath, errorPath] { try Data().write(to: URL(fileURLWithPath: path)) }
        defer { for path in [outputPath, errorPath] { try? FileManager.default.removeItem(atPath: path) } }
        let process = process(arguments)
        process.standardInput = input.flatMap { FileHandle(forReadingAtPath: $0) } ?? FileHandle.nullDevice
        let output = FileHandle(forWritingAtPath: outputPath)
        let errors = FileHandle(forWritingAtPath: errorPath)
        defer {
            try? output?.close()
            try? errors?.close()
        }
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        process.waitUntilExit()
        return Result(
            exitCode: process.terminationStatus, output: try Self.contents(outputPath),
            errors: String(decoding: try Self.contents(errorPath), as: UTF8.self))
    }

    func callAsFunction(_ arguments: String..., input: String? = nil) throws -> Result {
        try run(arguments, input: input)
    }

    static func contents(_ path: String) throws -> Data {
        let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        defer { try? handle.close() }
        return try handle.readToEnd() ?? Data()
    }

    func contents(_ name: String) throws -> Data { try Self.contents(file(name)) }

    /// Writes `.npy` files into the folder with NumPy; `folder` is a variable of the script.
    @discardableResult
    func numPy(_ script: String) throws -> String {
        try numpy("folder = sys.stdin.read()\n\(script)", input: folder.path)
    }
}
