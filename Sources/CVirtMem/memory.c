// Futexes and files in RAM.

#include "CVirtMem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// The words are plain uint32_t because Swift cannot import _Atomic fields.
uint32_t cvirtmem_load(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
void cvirtmem_store(uint32_t *word, uint32_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }

void cvirtmem_wait(const uint32_t *word, uint32_t expected) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

void cvirtmem_wake(const uint32_t *word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 0x7fffffff, NULL, NULL, 0);
}

int cvirtmem_memfd(const char *name) {
    int fd = memfd_create(name, MFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int cvirtmem_reserve(int fd, int64_t offset, int64_t length) {
    int result;
    do {
        result = fallocate(fd, 0, offset, length) ? errno : 0;
    } while (result == EINTR);
    return result;
}

int cvirtmem_punch(int fd, int64_t offset, int64_t length) {
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) ? errno : 0;
}
