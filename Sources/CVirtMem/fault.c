// From the faulting instruction to the service thread and back.
//
//   thread touches a page -> on_fault -> region table -> queue -> service thread
//   service thread maps the block -> cvirtmem_reply -> the instruction runs again

#ifndef _GNU_SOURCE
#error "_GNU_SOURCE is needed for ucontext register names"
#endif

#include "queue.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

// 48 bits of address space in granules of 1 GiB: 1 MiB of zero pages, of
// which only the touched ones take memory.
#define TABLE_BITS (48 - CVIRTMEM_GRANULE_SHIFT)
static _Atomic uint32_t region_of_granule[1u << TABLE_BITS];

struct previous {
    struct sigaction action;
    _Atomic int is_spent;  // installed with SA_RESETHAND, and has run
};
static struct previous previous_segv;
static struct previous previous_bus;
static _Atomic int forked;

// initial-exec: a lazily allocated thread-local would call malloc in a handler.
static _Thread_local const char *callback_name __attribute__((tls_model("initial-exec")));

static uint32_t region_at(uintptr_t address) {
    uintptr_t granule = address >> CVIRTMEM_GRANULE_SHIFT;
    if (granule >= (1u << TABLE_BITS)) return 0;
    return atomic_load_explicit(&region_of_granule[granule], memory_order_acquire);
}

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_OTHER };

// What the instruction was doing. ACCESS_OTHER (an instruction fetch) can
// never be resolved by mapping data.
static enum access access_of(const ucontext_t *context) {
#if defined(__x86_64__)
    unsigned long error = (unsigned long)context->uc_mcontext.gregs[REG_ERR];
    if (error & 0x10) return ACCESS_OTHER;
    return (error & 0x2) ? ACCESS_WRITE : ACCESS_READ;
#elif defined(__aarch64__)
    // The ESR record of the signal frame; bit 6 (WnR) says write.
    const unsigned char *at = (const unsigned char *)context->uc_mcontext.__reserved;
    for (;;) {
        uint32_t magic, size;
        memcpy(&magic, at, 4);
        memcpy(&size, at + 4, 4);
        if (magic == 0 || size == 0) return ACCESS_READ;
        if (magic == 0x45535201) {
            uint64_t esr;
            memcpy(&esr, at + 8, 8);
            if ((esr >> 26) == 0x20) return ACCESS_OTHER;
            return (esr & (1u << 6)) ? ACCESS_WRITE : ACCESS_READ;
        }
        at += size;
    }
#else
#error "say here how this processor tells a read fault from a write fault"
#endif
}

static void say(const char *text) {
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

// Ends the process at the faulting instruction, as without any handler.
static void die_there(int signal_number, int from_hardware) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigaction(signal_number, &action, NULL);
    // A hardware fault happens again on return. One sent by kill() does not.
    if (!from_hardware) syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), signal_number);
}

// Hands the signal to the handler before ours, as the kernel would have: with
// the signals blocked that it wants blocked, and once only if it asked for that.
static void chain(int signal_number, siginfo_t *info, void *context, int from_hardware) {
    struct previous *previous = signal_number == SIGBUS ? &previous_bus : &previous_segv;
    const struct sigaction *action = &previous->action;
    int has_handler = action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
    if (has_handler && action->sa_flags & SA_RESETHAND) has_handler = !atomic_exchange(&previous->is_spent, 1);
    if (!has_handler) {
        // The kernel ignores a sent signal, but never a fault.
        if (action->sa_handler != SIG_IGN || from_hardware) die_there(signal_number, from_hardware);
        return;
    }
    sigset_t blocked = action->sa_mask;
    sigset_t before;
    if (!(action->sa_flags & SA_NODEFER)) sigaddset(&blocked, signal_number);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    if (action->sa_flags & SA_SIGINFO) {
        action->sa_sigaction(signal_number, info, context);
    } else {
        action->sa_handler(signal_number);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

// How long a thread looks for its answer before it sleeps: most answers come sooner, and being
// woken takes longer. A time, not a count: how long a pause is differs tenfold between processors.
#define LOOKING_NANOSECONDS 30000
// So many at once: the others leave their processors to who gives the answers.
static int most_looking;
static _Atomic int looking;

static void look_for_reply(cvirtmem_fault *fault) {
    if (atomic_fetch_add_explicit(&looking, 1, memory_order_relaxed) < most_looking) {
        uint64_t end = cvirtmem_now() + LOOKING_NANOSECONDS;
        do {
            for (int i = 0; i < 32 && cvirtmem_load(&fault->reply) == CVIRTMEM_WAITING; i++) cvirtmem_relax();
        } while (cvirtmem_load(&fault->reply) == CVIRTMEM_WAITING && cvirtmem_now() < end);
    }
    atomic_fetch_sub_explicit(&looking, 1, memory_order_relaxed);
}

// Hands a fault to a service thread and waits for its reply.
static uint32_t ask(uintptr_t address, uint32_t region, uint32_t kind) {
    cvirtmem_fault fault = {.address = address, .region = region, .kind = kind, .reply = CVIRTMEM_WAITING};
    cvirtmem_push(&fault);
    look_for_reply(&fault);
    // Said before sleeping, so that only a sleeper is woken.
    uint32_t reply = CVIRTMEM_WAITING;
    if (!__atomic_compare_exchange_n(&fault.reply, &reply, CVIRTMEM_SLEEPING, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return reply;
    while ((reply = cvirtmem_load(&fault.reply)) == CVIRTMEM_SLEEPING)
        cvirtmem_wait(&fault.reply, CVIRTMEM_SLEEPING);
    return reply;
}

// What to do with a fault in one of our regions.
static uint32_t resolve(int signal_number, siginfo_t *info, uint32_t region, enum access access) {
    if (callback_name) {
        say("VirtMem: ");
        say(callback_name);
        say(signal_number == SIGBUS
                ? " read memory whose file was cut off\n"
                : " touched memory of a mapping; neither such code nor a signal handler that"
                  " interrupts it may do that\n");
        return CVIRTMEM_FATAL;
    }
    if (cvirtmem_is_forked()) {
        say("VirtMem: a mapping was touched in a forked child; a child must call exec before it uses mapped files\n");
        return CVIRTMEM_FATAL;
    }
    uint32_t kind = access == ACCESS_WRITE ? CVIRTMEM_WRITE : CVIRTMEM_READ;
    if (signal_number == SIGBUS) kind = CVIRTMEM_BUS;
    return ask((uintptr_t)info->si_addr, region, kind);
}

static void on_fault(int signal_number, siginfo_t *info, void *context) {
    int saved_errno = errno;
    // Codes of sent signals are not positive. Of the others only these come with
    // an address of ours: SI_KERNEL says that it was not canonical, other kinds of
    // SIGBUS that hardware failed.
    int from_hardware = info->si_code > 0;
    int has_address = signal_number == SIGBUS
                          ? info->si_code == BUS_ADRERR
                          : info->si_code == SEGV_MAPERR || info->si_code == SEGV_ACCERR;
    uint32_t region = has_address ? region_at((uintptr_t)info->si_addr) : 0;
    enum access access = region ? access_of(context) : ACCESS_OTHER;
    uint32_t reply = CVIRTMEM_NOT_OURS;
    if (region != 0 && access != ACCESS_OTHER) reply = resolve(signal_number, info, region, access);
    if (reply == CVIRTMEM_NOT_OURS) chain(signal_number, info, context, from_hardware);
    if (reply == CVIRTMEM_FATAL) die_there(signal_number, from_hardware);
    errno = saved_errno;
}

int cvirtmem_is_forked(void) { return atomic_load_explicit(&forked, memory_order_relaxed); }

static void after_fork_in_child(void) { atomic_store_explicit(&forked, 1, memory_order_relaxed); }

static int install_for(int signal_number, struct previous *previous) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_fault;
    // NODEFER: while this thread waits, another signal's handler may run on it
    // and touch a page of its own. ONSTACK: used where the thread has one.
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    // Known before ours runs; and a sent signal interrupts system calls no more
    // than it did before.
    if (sigaction(signal_number, NULL, &previous->action)) return errno;
    if (previous->action.sa_handler == SIG_IGN) action.sa_flags |= SA_RESTART;
    action.sa_flags |= previous->action.sa_flags & SA_RESTART;
    return sigaction(signal_number, &action, &previous->action) ? errno : 0;
}

static int install_once(void) {
    cvirtmem_prepare_queue();
    most_looking = cvirtmem_processors() - 1;
    pthread_atfork(NULL, NULL, after_fork_in_child);

    int result = install_for(SIGSEGV, &previous_segv);
    return result ? result : install_for(SIGBUS, &previous_bus);
}

int cvirtmem_install(void) {
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static int installed = 0;
    pthread_mutex_lock(&mutex);
    int result = 0;
    if (!installed) {
        result = install_once();
        installed = result == 0;
    }
    pthread_mutex_unlock(&mutex);
    return result;
}

int cvirtmem_register(void *address, size_t length, uint32_t id) {
    uintptr_t first = (uintptr_t)address >> CVIRTMEM_GRANULE_SHIFT;
    uintptr_t count = length >> CVIRTMEM_GRANULE_SHIFT;
    if (id == 0 || ((uintptr_t)address | length) % CVIRTMEM_GRANULE != 0) return EINVAL;
    if (first + count > (1u << TABLE_BITS)) return ERANGE;
    for (uintptr_t i = 0; i < count; i++)
        atomic_store_explicit(&region_of_granule[first + i], id, memory_order_release);
    return 0;
}

void cvirtmem_unregister(void *address, size_t length) {
    uintptr_t first = (uintptr_t)address >> CVIRTMEM_GRANULE_SHIFT;
    for (uintptr_t i = 0; i < length >> CVIRTMEM_GRANULE_SHIFT; i++)
        atomic_store_explicit(&region_of_granule[first + i], 0, memory_order_release);
}

const char *cvirtmem_enter_callback(const char *what) {
    const char *previous = callback_name;
    callback_name = what;
    return previous;
}

void cvirtmem_leave_callback(const char *previous) { callback_name = previous; }
