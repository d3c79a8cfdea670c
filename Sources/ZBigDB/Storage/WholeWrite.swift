#if canImport(Glibc)
    internal import Glibc
#endif

/// Writes all bytes to a place in a file, however many calls that takes. False: `errno` says why.
func writeWhole(_ bytes: [UInt8], at offset: Int, to descriptor: Int32) -> Bool {
    var done = 0
    while done < bytes.count {
        let count = unsafe bytes.withUnsafeBytes { buffer in
            unsafe pwrite(
                descriptor, buffer.baseAddress?.advanced(by: done), buffer.count - done,
                off_t(offset + done))
        }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return false }
        done += count
    }
    return true
}
