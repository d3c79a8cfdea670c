import Foundation
import Testing

@testable import VirtMem

extension EngineTests {
    /// Parts of files that are read before they are used.
    @Suite(.serialized) struct ReadAheadTests {
        /// A file on a disk of which nothing is in memory; nil where that cannot be had.
        private func coldFile(_ bytes: Int) throws -> Int32? {
            let path = FileManager.default.temporaryDirectory.appending(path: "virtmem-cold-\(UUID())").path
            let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL, 0o600)
            try #require(descriptor >= 0)
            unlink(path)
            let content = [UInt8](repeating: 7, count: 1 << 20)
            for _ in 0..<(bytes >> 20) {
                try #require(write(descriptor, content, content.count) == content.count)
            }
            fsync(descriptor)
            posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
            return try residentPages(descriptor, 0, bytes) == 0 ? descriptor : nil
        }

        private func residentPages(_ descriptor: Int32, _ offset: Int, _ bytes: Int) throws -> Int {
            let base = try #require(mmap(nil, bytes, PROT_READ, MAP_SHARED, descriptor, off_t(offset)))
            try #require(base != MAP_FAILED)
            defer { munmap(base, bytes) }
            var pages = [UInt8](repeating: 0, count: bytes / page)
            try #require(mincore(base, bytes, &pages) == 0)
            return pages.count { $0 & 1 == 1 }
        }

        /// Open descriptors of files made here.
        private func descriptors() -> Int {
            let folder = "/proc/self/fd"
            let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
            return names.count { name in
                let path = try? FileManager.default.destinationOfSymbolicLink(atPath: folder + "/" + name)
                return path?.contains("virtmem-cold-") ?? false
            }
        }

        private func waits(_ condition: () throws -> Bool) async throws -> Bool {
            let deadline = Date.now + 20
            while try !condition(), Date.now < deadline { try await Task.sleep(for: .milliseconds(1)) }
            return try condition()
        }

        @Test("a part is in memory soon, short ones and long ones", arguments: [1, 3, 24])
        func part(mebibytes: Int) async throws {
            guard let file = try coldFile(64 << 20) else { return }
            defer { close(file) }
            let length = mebibytes << 20
            readAhead(file, 8 << 20, length)
            #expect(try await waits { try residentPages(file, 8 << 20, length) == length / page })
        }

        @Test("parts one after the other, more than may wait; a descriptor that is none; none is left")
        func many() async throws {
            guard let file = try coldFile(64 << 20) else { return }
            for _ in 0..<50 {
                for start in [40, 0, 20] { readAhead(file, start << 20, 20 << 20) }
            }
            readAhead(-1, 0, 64 << 20)
            #expect(try await waits { try residentPages(file, 0, 60 << 20) == (60 << 20) / page })
            #expect(try await waits { descriptors() == 1 })
            close(file)
        }
    }
}
