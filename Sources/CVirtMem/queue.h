// What fault.c and queue.c share.

#ifndef CVIRTMEM_QUEUE_H
#define CVIRTMEM_QUEUE_H

#include <time.h>

#include "CVirtMem.h"

// Nanoseconds of a clock that only goes forwards. Async-signal-safe.
static inline uint64_t cvirtmem_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

// Once, before the first fault.
void cvirtmem_prepare_queue(void);

// How many processors this process has. With more than one, looking out for what another thread does
// can be shorter than sleeping.
int cvirtmem_processors(void);

// Hands a fault to the service threads. Async-signal-safe and no cancellation point.
void cvirtmem_push(cvirtmem_fault *_Nonnull fault);

// Tells the processor that this is a loop that waits.
static inline void cvirtmem_relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
