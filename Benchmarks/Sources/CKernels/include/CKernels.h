// The loops that every system under test runs, so that only the memory they
// run on differs.

#ifndef CKERNELS_H
#define CKERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// p[i] = (first + i) * 0.5
void kernels_fill(double *_Nonnull p, size_t first, size_t count);
double kernels_sum(const double *_Nonnull p, size_t count);
// The sum of `reads` elements at the places of a fixed pseudo-random sequence.
double kernels_random(const double *_Nonnull p, size_t count, size_t reads, uint64_t seed);
// The sum of the elements at `count` places.
double kernels_gather(const double *_Nonnull p, const uint64_t *_Nonnull places, size_t count);
// The next number of that sequence.
uint64_t kernels_next(uint64_t *_Nonnull state);

// The least a read fault in user space can cost: a signal handler maps the blocks at the beginning of a file
// when they are touched, and does nothing else. For one thread at a time, while nothing else faults. False: it
// cannot be done.
bool kernels_bare_begin(int descriptor, size_t block, size_t count);
void kernels_bare_touch(void);
void kernels_bare_end(void);

#endif
