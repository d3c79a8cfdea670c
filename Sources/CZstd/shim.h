// The zstd library, as far as Storage uses it.

#ifndef CZSTD_SHIM_H
#define CZSTD_SHIM_H

#include <zstd.h>

// Whether a frame says how long its content is, and if so, how long.
static inline int czstd_content_size(const void *frame, size_t length, size_t *size) {
    unsigned long long found = ZSTD_getFrameContentSize(frame, length);
    if (found == ZSTD_CONTENTSIZE_UNKNOWN || found == ZSTD_CONTENTSIZE_ERROR) return 0;
    *size = (size_t)found;
    return 1;
}

#endif
