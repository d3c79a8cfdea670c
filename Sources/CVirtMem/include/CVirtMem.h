// The part of the virtual-memory engine that Swift cannot do: the SIGSEGV
// handler, thread-local flags it reads, futexes and a few system calls whose
// constants the C library lacks.
//
// Everything a signal handler runs is in fault.c, or is cvirtmem_push of queue.c, and is
// async-signal-safe.

#ifndef CVIRTMEM_H
#define CVIRTMEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Regions are registered in granules of this many bytes, so that the handler
// finds the region of an address with one load and no lock.
#define CVIRTMEM_GRANULE_SHIFT 30
#define CVIRTMEM_GRANULE ((size_t)1 << CVIRTMEM_GRANULE_SHIFT)

// A fault waiting for its answer. It lives on the stack of the faulting
// thread; nobody may touch it after replying.
typedef struct cvirtmem_fault {
    uintptr_t address;
    uint32_t region;    // the id given to cvirtmem_register
    uint32_t kind;      // CVIRTMEM_READ, _WRITE or _BUS
    uint32_t reply;     // futex word, one of those below
    struct cvirtmem_fault *_Nullable next;  // of the queue
} cvirtmem_fault;

enum {
    CVIRTMEM_READ = 0,
    CVIRTMEM_WRITE = 1,
    CVIRTMEM_BUS = 2,  // SIGBUS: the file under a mapping has no such page any more
};

enum {
    CVIRTMEM_WAITING = 0,
    CVIRTMEM_RETRY = 1,     // run the instruction again
    CVIRTMEM_NOT_OURS = 2,  // hand the signal to the previous handler
    CVIRTMEM_FATAL = 3,     // a message was printed: die at the faulting instruction
    CVIRTMEM_SLEEPING = 4,  // waiting, and to be woken
};

// Installs the SIGSEGV and SIGBUS handlers and the queue behind them. The second and later
// calls do nothing. Returns 0 or an errno.
int cvirtmem_install(void);

// Blocks until a thread faults in a registered region. For service threads.
cvirtmem_fault *_Nonnull cvirtmem_next_fault(void);
void cvirtmem_reply(cvirtmem_fault *_Nonnull fault, uint32_t reply);

// Makes [address, address + length) the region `id` (not 0). Both address and
// length must be multiples of CVIRTMEM_GRANULE. Returns 0 or an errno.
int cvirtmem_register(void *_Nonnull address, size_t length, uint32_t id);
void cvirtmem_unregister(void *_Nonnull address, size_t length);

// 1 in a child of fork(), which has the memory but not the service threads.
int cvirtmem_is_forked(void);

// Marks the calling thread as running engine or backend code, in which a
// fault in a region is a bug: the handler names `what` and lets the process
// die there. Calls nest; leave with the value that enter returned.
const char *_Nullable cvirtmem_enter_callback(const char *_Nonnull what);
void cvirtmem_leave_callback(const char *_Nullable previous);

// Futex wait while *word == expected; wake all waiters.
void cvirtmem_wait(const uint32_t *_Nonnull word, uint32_t expected);
void cvirtmem_wake(const uint32_t *_Nonnull word);
uint32_t cvirtmem_load(const uint32_t *_Nonnull word);
void cvirtmem_store(uint32_t *_Nonnull word, uint32_t value);

// An anonymous file in RAM. Returns a descriptor or a negative errno.
int cvirtmem_memfd(const char *_Nonnull name);
// Reserves bytes of it now, so that using them later cannot fail. 0 or errno.
int cvirtmem_reserve(int fd, int64_t offset, int64_t length);
// Gives bytes of it back to the system. 0 or errno.
int cvirtmem_punch(int fd, int64_t offset, int64_t length);

#ifdef __cplusplus
}
#endif
#endif
