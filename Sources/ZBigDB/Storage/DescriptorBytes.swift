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

/// Reads bytes at a place in a file, however many calls that takes: fewer only where the file ends. Nil: `errno` says why.
func readWhole(_ count: Int, at offset: Int, from descriptor: Int32) -> [UInt8]? {
    var failure: Int32 = 0
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
        while filled < count {
            let got = unsafe pread(
                descriptor, buffer.baseAddress?.advanced(by: filled), count - filled, off_t(offset + filled))
            if got < 0, errno == EINTR { continue }
            if got < 0 { failure = errno }
            if got <= 0 { return }
            filled += got
        }
    }
    if failure == 0 { return bytes }
    errno = failure
    return nil
}
