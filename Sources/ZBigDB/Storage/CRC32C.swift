internal import CChecksum

/// CRC-32C (Castagnoli), as in RFC 3720 appendix B.4.
enum CRC32C {
    static func checksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
        guard let base = bytes.baseAddress else { return seed }
        return unsafe cchecksum_crc32c(seed, base, bytes.count)
    }

    static func checksum(_ bytes: [UInt8], seed: UInt32 = 0) -> UInt32 {
        unsafe bytes.withUnsafeBytes { unsafe checksum($0, seed: seed) }
    }

    static func checksum(_ bytes: ArraySlice<UInt8>, seed: UInt32 = 0) -> UInt32 {
        unsafe bytes.withUnsafeBytes { unsafe checksum($0, seed: seed) }
    }

    /// The checksum of each page of `bytes`.
    static func pages(_ bytes: UnsafeRawBufferPointer, pageSize: Int) -> [UInt32] {
        let count = bytes.count / pageSize
        guard count > 0, let base = bytes.baseAddress else { return [] }
        return unsafe [UInt32](unsafeUninitializedCapacity: count) { out, filled in
            if let start = out.baseAddress { unsafe cchecksum_crc32c_pages(base, pageSize, count, start) }
            filled = count
        }
    }

    static func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress else { return true }
        return unsafe cchecksum_is_zero(base, bytes.count) != 0
    }
}
