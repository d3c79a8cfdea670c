#define _GNU_SOURCE
#include "CKernels.h"

#include <signal.h>
#include <sys/mman.h>

static struct {
    char *reserved, *base;
    size_t block, count;
    int descriptor;
    struct sigaction previous;
} bare;

static void map_block(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)context;
    size_t offset = (size_t)((char *)info->si_addr - bare.base) / bare.block * bare.block;
    mmap(bare.base + offset, bare.block, PROT_READ, MAP_SHARED | MAP_FIXED, bare.descriptor, (off_t)offset);
}

bool kernels_bare_begin(int descriptor, size_t block, size_t count) {
    bare.reserved =
        mmap(NULL, (count + 1) * block, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (bare.reserved == MAP_FAILED) return false;
    bare.base = (char *)(((uintptr_t)bare.reserved + block - 1) / block * block);
    bare.block = block;
    bare.count = count;
    bare.descriptor = descriptor;
    struct sigaction action = {.sa_flags = SA_SIGINFO};
    action.sa_sigaction = map_block;
    if (sigaction(SIGSEGV, &action, &bare.previous) == 0) return true;
    munmap(bare.reserved, (count + 1) * block);
    return false;
}

void kernels_bare_touch(void) {
    volatile char sum = 0;
    for (size_t i = 0; i < bare.count; i++) sum += bare.base[i * bare.block];
}

void kernels_bare_end(void) {
    sigaction(SIGSEGV, &bare.previous, NULL);
    munmap(bare.reserved, (bare.count + 1) * bare.block);
}
