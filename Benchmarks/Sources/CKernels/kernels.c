#include "CKernels.h"

__attribute__((noinline)) void kernels_fill(double *p, size_t first, size_t count) {
    for (size_t i = 0; i < count; i++) p[i] = (double)(first + i) * 0.5;
}

// Four accumulators: the loop waits for memory, not for its own additions.
__attribute__((noinline)) double kernels_sum(const double *p, size_t count) {
    double a = 0, b = 0, c = 0, d = 0;
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        a += p[i];
        b += p[i + 1];
        c += p[i + 2];
        d += p[i + 3];
    }
    for (; i < count; i++) a += p[i];
    return a + b + c + d;
}

uint64_t kernels_next(uint64_t *state) {
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

__attribute__((noinline)) double kernels_random(
    const double *p, size_t count, size_t reads, uint64_t seed) {
    double sum = 0;
    uint64_t state = seed;
    for (size_t i = 0; i < reads; i++) sum += p[kernels_next(&state) % count];
    return sum;
}

__attribute__((noinline)) double kernels_gather(const double *p, const uint64_t *places, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += p[places[i]];
    return sum;
}
