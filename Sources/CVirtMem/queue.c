// Faults on their way to the service threads.
//
//   arrived  what stopped threads push, newest first. Pushing happens in a signal
//            handler: no lock, no memory, one compare-and-swap. Only all of it is
//            ever taken, so no entry can go and come back between two looks at it.
//   ready    what was taken and waits for a thread, oldest first. Only service
//            threads touch it, under a mutex.
//
// Nobody may sleep while a fault waits. Who pushes, or leaves something in `ready`,
// does that first and then looks for a thread to call; a thread that stops looking
// out, or goes to sleep, says so first and then looks at the queue. All of these are
// sequentially consistent, so one of the two sees the other. What the pushing thread
// wrote into its fault is released by the push and acquired by the exchange.

#include "queue.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic(cvirtmem_fault *) arrived;
static _Atomic(cvirtmem_fault *) ready;
static pthread_mutex_t taking = PTHREAD_MUTEX_INITIALIZER;

// A futex word that changes with each call, and how many threads sleep on it.
static _Atomic uint32_t calls;
static _Atomic uint32_t sleepers;

// Waking a thread on an idle processor takes longer than all the rest of a fault. So
// where faults follow each other, one service thread looks out for the next one.
#define WATCH_NANOSECONDS 50000
// A gap measured across a sleep holds the waking, too.
#define WAKING_NANOSECONDS 50000
// After this many watches in vain nobody watches, until faults come fast again.
#define MOST_TRIES 4
static int processors;
static _Atomic int is_watched;
static _Atomic int tries;
static _Atomic uint64_t last_end;  // when a service thread last had nothing more to do

void cvirtmem_prepare_queue(void) {
    cpu_set_t usable;
    processors = sched_getaffinity(0, sizeof usable, &usable) == 0 ? CPU_COUNT(&usable)
                                                                   : (int)sysconf(_SC_NPROCESSORS_ONLN);
}

int cvirtmem_processors(void) { return processors; }

static int is_empty(void) { return !atomic_load(&arrived) && !atomic_load(&ready); }

static void call_somebody(void) {
    // Without a sleeper, whoever is awake looks at the queue before it sleeps.
    if (atomic_load(&is_watched) || atomic_load(&sleepers) == 0) return;
    atomic_fetch_add(&calls, 1);
    syscall(SYS_futex, &calls, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void cvirtmem_push(cvirtmem_fault *fault) {
    cvirtmem_fault *newest = atomic_load_explicit(&arrived, memory_order_relaxed);
    do {
        fault->next = newest;
    } while (!atomic_compare_exchange_weak(&arrived, &newest, fault));
    call_somebody();
}

// The oldest fault, or NULL. Others that wait are handed on.
static cvirtmem_fault *take(void) {
    if (is_empty()) return NULL;
    pthread_mutex_lock(&taking);
    cvirtmem_fault *first = atomic_load(&ready);
    if (!first) {
        cvirtmem_fault *newest = atomic_exchange(&arrived, NULL);
        while (newest) {
            cvirtmem_fault *older = newest->next;
            newest->next = first;
            first = newest;
            newest = older;
        }
    }
    if (first) atomic_store(&ready, first->next);
    pthread_mutex_unlock(&taking);
    if (first && !is_empty()) call_somebody();
    return first;
}

// Looks out for a fault for a moment, if one is likely and nobody else does.
static void watch(uint64_t since) {
    if (processors < 2 || atomic_load(&tries) == 0 || atomic_exchange(&is_watched, 1)) return;
    uint64_t end = since + WATCH_NANOSECONDS;
    do {
        for (int i = 0; i < 32 && is_empty(); i++) cvirtmem_relax();
    } while (is_empty() && cvirtmem_now() < end);
    if (is_empty()) atomic_fetch_sub(&tries, 1);
    atomic_store(&is_watched, 0);
}

static void sleep_until_called(void) {
    uint32_t seen = atomic_load(&calls);
    atomic_fetch_add(&sleepers, 1);
    if (is_empty()) syscall(SYS_futex, &calls, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
    atomic_fetch_sub(&sleepers, 1);
}

cvirtmem_fault *cvirtmem_next_fault(void) {
    uint64_t since = cvirtmem_now();
    atomic_store_explicit(&last_end, since, memory_order_relaxed);
    cvirtmem_fault *fault = take();
    if (!fault) {
        watch(since);
        fault = take();
    }
    while (!fault) {
        sleep_until_called();
        fault = take();
    }
    uint64_t gap = cvirtmem_now() - atomic_load_explicit(&last_end, memory_order_relaxed);
    if (gap < WATCH_NANOSECONDS + WAKING_NANOSECONDS) atomic_store(&tries, MOST_TRIES);
    return fault;
}

void cvirtmem_reply(cvirtmem_fault *fault, uint32_t reply) {
    // After the exchange the fault may be gone: only its address is used then.
    if (__atomic_exchange_n(&fault->reply, reply, __ATOMIC_ACQ_REL) == CVIRTMEM_SLEEPING)
        cvirtmem_wake(&fault->reply);
}
