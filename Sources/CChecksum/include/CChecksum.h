// CRC-32C (Castagnoli, RFC 3720 appendix B.4) with the processor's instruction
// where it has one. Swift cannot express the instruction.

#ifndef CCHECKSUM_H
#define CCHECKSUM_H

#include <stddef.h>
#include <stdint.h>

// The checksum of `length` bytes, continuing from `seed` (0 to start).
uint32_t cchecksum_crc32c(uint32_t seed, const void *_Nonnull bytes, size_t length);

// The checksums of `count` pages of `page_size` bytes (a multiple of 8) that
// follow each other, several pages at a time.
void cchecksum_crc32c_pages(
    const void *_Nonnull bytes, size_t page_size, size_t count, uint32_t *_Nonnull out);

// 1 if all bytes are zero.
int cchecksum_is_zero(const void *_Nonnull bytes, size_t length);

#endif
