// What fault.c and queue.c share.

#ifndef CVIRTMEM_QUEUE_H
#define CVIRTMEM_QUEUE_H

#include "CVirtMem.h"

// Once, before the first fault.
void cvirtmem_prepare_queue(void);

// Whether this process has more than one processor, so that looking out for what another
// thread does can be shorter than sleeping.
int cvirtmem_has_processors(void);

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
