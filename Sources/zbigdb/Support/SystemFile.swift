import Foundation

/// A system call failed.
struct SystemFailure: Error {
    let errno: Int32
}

/// Files by their descriptors: what is read goes straight to its memory.
enum SystemFile {
    /// Writes all bytes.
    static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) throws(SystemFailure) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = UnsafeRawBufferPointer(rebasing: rest)
            let (count, code) = call { Foundation.write(descriptor, part.baseAddress, part.count) }
            if count < 0 {
                if code == EINTR { continue }
                throw SystemFailure(errno: code)
            }
            rest = rest.dropFirst(count)
        }
    }

    /// Reads until `bytes` is full or the file ends; returns how many bytes came.
    static func read(into bytes: UnsafeMutableRawBufferPointer, from descriptor: Int32, waits: Bool) throws
        -> Int
    {
        var filled = 0
        while filled < bytes.count {
            if waits { try waitForInput(descriptor) }
            let part = UnsafeMutableRawBufferPointer(rebasing: bytes[filled...])
            let (count, code) = call { Foundation.read(descriptor, part.baseAddress, part.count) }
            if count < 0 {
                if code == EINTR { continue }
                throw SystemFailure(errno: code)
            }
            if count == 0 { break }
            filled += count
        }
        return filled
    }

    /// Waits for input of a pipe or terminal, and gives up when the user does.
    private static func waitForInput(_ descriptor: Int32) throws {
        while true {
            try Interruption.check()
            var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            if poll(&request, 1, 200) > 0 { return }
        }
    }

    /// The result of a call and the error number right after it.
    @inline(never)
    static func call<R>(_ body: () -> R) -> (R, Int32) {
        let result = body()
        return (result, errno)
    }
}

/// A file that is read from its beginning; `-` is standard input.
struct InputFile: ~Copyable {
    let path: String
    /// Its length, if it is a regular file.
    let length: Int?
    private let descriptor: Int32

    /// - Throws: ``ToolError/system(doing:path:errno:)``.
    init(_ path: String) throws {
        let isStandardInput = path == "-"
        let (descriptor, code) =
            isStandardInput ? (STDIN_FILENO, 0) : SystemFile.call { open(path, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw ToolError.system(doing: "opening", path: path, errno: code) }
        var status = stat()
        let (result, statusCode) = SystemFile.call { fstat(descriptor, &status) }
        let kind = status.st_mode & S_IFMT
        guard result == 0, kind != S_IFDIR else {
            if !isStandardInput { close(descriptor) }
            throw ToolError.system(
                doing: "opening", path: path, errno: result == 0 ? EISDIR : statusCode)
        }
        self.path = isStandardInput ? "standard input" : path
        self.descriptor = descriptor
        length = kind == S_IFREG ? Int(status.st_size) : nil
    }

    deinit { if descriptor != STDIN_FILENO { close(descriptor) } }

    /// Reads on until `bytes` is full or the file ends; returns how many bytes came.
    ///
    /// - Throws: ``ToolError/system(doing:path:errno:)``, ``Interrupted``.
    func read(into bytes: UnsafeMutableRawBufferPointer) throws -> Int {
        do {
            return try SystemFile.read(into: bytes, from: descriptor, waits: length == nil)
        } catch let failure as SystemFailure {
            throw ToolError.system(doing: "reading", path: path, errno: failure.errno)
        }
    }

    /// Reads on until `count` bytes have come or the file ends.
    func read(_ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let filled = try bytes.withUnsafeMutableBytes { try read(into: $0) }
        return Array(bytes.prefix(filled))
    }
}

/// A file that is there as a whole or not at all: written beside its place, and renamed.
///
/// `-` is standard output. A pipe or a device is written to as it is.
struct OutputFile: ~Copyable {
    private let path: String
    private let temporaryPath: String?
    private let descriptor: Int32
    private var isFinished = false

    /// - Throws: ``ToolError/system(doing:path:errno:)``.
    init(_ path: String) throws {
        if path == "-" {
            self.path = "standard output"
            temporaryPath = nil
            descriptor = STDOUT_FILENO
            return
        }
        var status = stat()
        let exists = stat(path, &status) == 0
        if exists, status.st_mode & S_IFMT == S_IFDIR {
            throw ToolError.system(doing: "writing", path: path, errno: EISDIR)
        }
        let isSpecial = exists && status.st_mode & S_IFMT != S_IFREG
        // Through a symbolic link it is the file that is replaced, not the link.
        let target = exists ? URL(fileURLWithPath: path).resolvingSymlinksInPath().path : path
        let written = isSpecial ? path : "\(target).\(String(UInt64.random(in: 0 ... .max), radix: 36)).part"
        let flags = O_WRONLY | O_CLOEXEC | (isSpecial ? 0 : O_CREAT | O_EXCL)
        let (descriptor, code) = SystemFile.call { open(written, flags, 0o666) }
        guard descriptor >= 0 else { throw ToolError.system(doing: "writing", path: path, errno: code) }
        self.path = isSpecial ? path : target
        temporaryPath = isSpecial ? nil : written
        self.descriptor = descriptor
    }

    /// - Throws: ``ToolError/system(doing:path:errno:)``.
    func write(_ bytes: UnsafeRawBufferPointer) throws {
        do throws(SystemFailure) {
            try SystemFile.write(bytes, to: descriptor)
        } catch {
            throw ToolError.system(doing: "writing", path: path, errno: error.errno)
        }
    }

    /// Puts the file in its place, safely on the disk.
    mutating func finish() throws {
        if let temporaryPath {
            let path = self.path
            let descriptor = self.descriptor
            let (result, code) = SystemFile.call {
                fsync(descriptor) == 0 && rename(temporaryPath, path) == 0
            }
            guard result else { throw ToolError.system(doing: "writing", path: path, errno: code) }
        }
        isFinished = true
    }

    deinit {
        if descriptor != STDOUT_FILENO { close(descriptor) }
        if let temporaryPath, !isFinished { unlink(temporaryPath) }
    }
}
