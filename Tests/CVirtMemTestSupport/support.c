#include "CVirtMemTestSupport.h"

#include <alloca.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <elf.h>
#include <ucontext.h>
#include <unistd.h>

#define UNCHECKED __attribute__((noinline, no_sanitize("address", "thread")))

// Recording handlers.

static volatile support_seen seen;
static void *page_to_open;
static size_t size_to_open;

static uintptr_t counter_of(const void *context) {
    const ucontext_t *c = context;
#if defined(__x86_64__)
    return (uintptr_t)c->uc_mcontext.gregs[REG_RIP];
#else
    return (uintptr_t)c->uc_mcontext.pc;
#endif
}

static void record(int signal_number) {
    int here = 0;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    seen.signal_number = signal_number;
    seen.stack = (uintptr_t)&here;
    seen.blocks_segv = sigismember(&mask, SIGSEGV);
    seen.blocks_usr1 = sigismember(&mask, SIGUSR1);
    seen.blocks_usr2 = sigismember(&mask, SIGUSR2);
    seen.count++;
    if (page_to_open) mprotect(page_to_open, size_to_open, PROT_READ | PROT_WRITE);
}

static void record_plain(int signal_number) { record(signal_number); }

static void record_info(int signal_number, siginfo_t *info, void *context) {
    seen.code = info->si_code;
    seen.address = (uintptr_t)info->si_addr;
    seen.program_counter = counter_of(context);
    record(signal_number);
}

int support_install_recorder(int with_info, int flags, int masked, void *page, size_t page_size) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    page_to_open = page;
    size_to_open = page_size;
    action.sa_flags = flags | (with_info ? SA_SIGINFO : 0);
    if (with_info) {
        action.sa_sigaction = record_info;
    } else {
        action.sa_handler = record_plain;
    }
    sigemptyset(&action.sa_mask);
    if (masked) sigaddset(&action.sa_mask, masked);
    return sigaction(SIGSEGV, &action, NULL) ? errno : 0;
}

support_seen support_last_seen(void) {
    support_seen copy = seen;
    return copy;
}

// Handlers installed later.

static struct sigaction found;
static atomic_int chained;
static int exit_code;

static void count_and_chain(int signal_number, siginfo_t *info, void *context) {
    atomic_fetch_add(&chained, 1);
    found.sa_sigaction(signal_number, info, context);
}

static void exit_at_once(int signal_number) {
    (void)signal_number;
    _exit(exit_code);
}

int support_install_chaining(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = count_and_chain;
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    return sigaction(SIGSEGV, &action, &found) ? errno : 0;
}

int support_chaining_count(void) { return atomic_load(&chained); }

int support_install_exiting(int code) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    exit_code = code;
    action.sa_handler = exit_at_once;
    return sigaction(SIGSEGV, &action, NULL) ? errno : 0;
}

int support_send_segv(int code, const void *address) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = SIGSEGV;
    info.si_code = code;
    info.si_addr = (void *)(uintptr_t)address;
    long result = syscall(SYS_rt_tgsigqueueinfo, getpid(), (pid_t)syscall(SYS_gettid), SIGSEGV, &info);
    return result ? errno : 0;
}

// Registers.

#if defined(__x86_64__)

int support_knows_registers(void) { return 1; }

// One block of assembly, so that the compiler cannot use a register in between.
// Layout of `area`: 0 FXSAVE before, 512 FXSAVE after, 1024 upper half of ymm15
// before and after (32 bytes each), 1088 control words, 1104 general, 1105 flags.
UNCHECKED __attribute__((target("avx"))) static void touch(
    unsigned char *area, void *address, int is_write, int has_avx) {
    static const uint32_t mxcsr = 0x1f80 | 0x6000;  // round towards zero
    static const uint16_t control = 0x0c7f;         // the same, extended precision off
    static const uint64_t pattern[4] = {
        0x0123456789abcdefu, 0xfedcba9876543210u, 0xa5a5a5a55a5a5a5au, 0x5a5a5a5aa5a5a5a5u};
    __asm__ volatile(
        "movq %[area], %%r12\n\t"
        "movq %[address], %%r13\n\t"
        "movq %[pattern], %%rax\n\t"
        "stmxcsr 1088(%%r12)\n\t"
        "fnstcw 1092(%%r12)\n\t"
        "ldmxcsr %[mxcsr]\n\t"
        "fninit\n\t"
        "fldcw %[control]\n\t"
        "fldpi\n\t"
        "fld1\n\t"
        "cmpl $0, %[avx]\n\t"
        "jz 1f\n\t"
        "vmovups (%%rax), %%ymm15\n\t"
        "vmovups %%ymm15, 1024(%%r12)\n\t"
        "1:\n\t"
        "movups (%%rax), %%xmm0\n\t"
        "movups 8(%%rax), %%xmm1\n\t"
        "movups 16(%%rax), %%xmm7\n\t"
        "movups (%%rax), %%xmm8\n\t"
        "movups 8(%%rax), %%xmm14\n\t"
        "movl %[write], %%r14d\n\t"
        "movl %[avx], %%r15d\n\t"
        "fxsave64 (%%r12)\n\t"
        "movq $0x11, %%rax\n\t"
        "movq $0x22, %%rbx\n\t"
        "movq $0x33, %%rcx\n\t"
        "movq $0x44, %%rdx\n\t"
        "movq $0x55, %%rsi\n\t"
        "movq $0x66, %%rdi\n\t"
        "movq $0x77, %%r8\n\t"
        "movq $0x88, %%r9\n\t"
        "movq $0x99, %%r10\n\t"
        "movq $0xaa, %%r11\n\t"
        "testl %%r14d, %%r14d\n\t"
        "jnz 2f\n\t"
        "stc\n\t"
        "movb (%%r13), %%al\n\t"
        "jmp 3f\n\t"
        "2:\n\t"
        "stc\n\t"
        "movb $0x5a, (%%r13)\n\t"
        "3:\n\t"
        "setnc 1105(%%r12)\n\t"
        "xorq $0x22, %%rbx\n\t"
        "xorq $0x33, %%rcx\n\t"
        "xorq $0x44, %%rdx\n\t"
        "xorq $0x55, %%rsi\n\t"
        "xorq $0x66, %%rdi\n\t"
        "xorq $0x77, %%r8\n\t"
        "xorq $0x88, %%r9\n\t"
        "xorq $0x99, %%r10\n\t"
        "xorq $0xaa, %%r11\n\t"
        "orq %%rcx, %%rbx\n\t"
        "orq %%rdx, %%rbx\n\t"
        "orq %%rsi, %%rbx\n\t"
        "orq %%rdi, %%rbx\n\t"
        "orq %%r8, %%rbx\n\t"
        "orq %%r9, %%rbx\n\t"
        "orq %%r10, %%rbx\n\t"
        "orq %%r11, %%rbx\n\t"
        "setnz 1104(%%r12)\n\t"
        "fxsave64 512(%%r12)\n\t"
        "testl %%r15d, %%r15d\n\t"
        "jz 4f\n\t"
        "vmovups %%ymm15, 1056(%%r12)\n\t"
        "vzeroupper\n\t"
        "4:\n\t"
        "fninit\n\t"
        "ldmxcsr 1088(%%r12)\n\t"
        "fldcw 1092(%%r12)\n\t"
        :
        : [area] "D"(area), [address] "S"(address), [pattern] "d"(pattern), [write] "m"(is_write),
          [avx] "m"(has_avx), [mxcsr] "m"(mxcsr), [control] "m"(control)
        : "rax", "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc",
          "xmm0", "xmm1", "xmm7", "xmm8", "xmm14", "xmm15", "st");
}

int support_touch_with_registers(void *address, int is_write) {
    _Alignas(64) unsigned char area[1152];
    memset(area, 0, sizeof area);
    int has_avx = __builtin_cpu_supports("avx") != 0;
    touch(area, address, is_write, has_avx);
    // Bytes 8 to 23 say where the last x87 instruction was, which not every
    // processor saves; those from 416 on are not state.
    int vectors = memcmp(area, area + 512, 8) || memcmp(area + 24, area + 536, 416 - 24);
    int upper = memcmp(area + 1024, area + 1056, 32);
    return (area[1104] ? 1 : 0) | (area[1105] ? 2 : 0) | (vectors ? 4 : 0) | (upper ? 8 : 0);
}

#else

int support_knows_registers(void) { return 0; }
int support_touch_with_registers(void *address, int is_write) {
    (void)address;
    (void)is_write;
    return 0;
}

#endif

// Stacks.

#define STACK_SIZE (256u << 10)
#define GUARD (64u << 10)

struct stack_job {
    const volatile unsigned char *address;
    size_t left;
    size_t alternate;
    char *bottom;
    int result;
};

static int use_alternate(size_t size) {
    if (size == 0) return 0;
    stack_t stack = {.ss_size = size};
    stack.ss_sp = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack.ss_sp == MAP_FAILED) return errno;
    return sigaltstack(&stack, NULL) ? errno : 0;
}

UNCHECKED static void *read_with_little(void *argument) {
    struct stack_job *job = argument;
    int code = use_alternate(job->alternate);
    if (code) {
        job->result = -code;
        return NULL;
    }
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    volatile char *rest = alloca(here - (uintptr_t)job->bottom - job->left);
    rest[0] = 1;
    job->result = *job->address;
    rest[0] = 2;
    return NULL;
}

UNCHECKED static int recurse(volatile int *depth) {
    volatile char space[1024];
    space[0] = (char)*depth;
    (*depth)++;
    return recurse(depth) + space[0];
}

static void *overflow(void *argument) {
    struct stack_job *job = argument;
    volatile int depth = 0;
    if (use_alternate(job->alternate) == 0) job->result = recurse(&depth);
    return NULL;
}

static int run_on_stack(void *(*body)(void *), struct stack_job *job) {
    char *all = mmap(NULL, STACK_SIZE + GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED || mprotect(all + GUARD, STACK_SIZE, PROT_READ | PROT_WRITE)) return -errno;
    job->bottom = all + GUARD;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, job->bottom, STACK_SIZE);
    pthread_t thread;
    int code = pthread_create(&thread, &attributes, body, job);
    pthread_attr_destroy(&attributes);
    if (code) return -code;
    pthread_join(thread, NULL);
    munmap(all, STACK_SIZE + GUARD);
    return job->result;
}

int support_read_with_stack(const void *address, size_t left, size_t alternate) {
    struct stack_job job = {.address = address, .left = left, .alternate = alternate};
    return run_on_stack(read_with_little, &job);
}

int support_overflow_stack(size_t alternate) {
    struct stack_job job = {.alternate = alternate};
    return run_on_stack(overflow, &job);
}

// Null, and jumps.

extern const char support_null_read[], support_null_write[];

UNCHECKED static void touch_null(int is_write) {
#if defined(__x86_64__)
    if (is_write) {
        __asm__ volatile(".globl support_null_write\nsupport_null_write: movb %%al, (%0)" ::"r"(0L) : "memory");
    } else {
        __asm__ volatile(".globl support_null_read\nsupport_null_read: movb (%0), %%al" ::"r"(0L) : "rax");
    }
#else
    if (is_write) {
        __asm__ volatile(".globl support_null_write\nsupport_null_write: strb wzr, [%0]" ::"r"(0L) : "memory");
    } else {
        __asm__ volatile(".globl support_null_read\nsupport_null_read: ldrb w0, [%0]" ::"r"(0L) : "x0");
    }
#endif
}

static uintptr_t counter_of_process(pid_t child) {
    struct user_regs_struct registers;
    struct iovec vector = {.iov_base = &registers, .iov_len = sizeof registers};
    if (ptrace(PTRACE_GETREGSET, child, (void *)NT_PRSTATUS, &vector)) return 0;
#if defined(__x86_64__)
    return registers.rip;
#else
    return registers.pc;
#endif
}

support_trace support_trace_null(int is_write) {
    support_trace result = {0};
    uintptr_t expected = (uintptr_t)(is_write ? support_null_write : support_null_read);
    pid_t child = fork();
    if (child < 0) {
        result.error = errno;
        return result;
    }
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL)) _exit(1);
        syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), SIGSTOP);
        touch_null(is_write);
        _exit(2);
    }
    while (waitpid(child, &result.status, 0) == child && WIFSTOPPED(result.status)) {
        int signal_number = WSTOPSIG(result.status);
        if (signal_number == SIGSEGV) {
            result.stops++;
            if (counter_of_process(child) != expected) result.elsewhere++;
            if (result.stops > 100) signal_number = SIGKILL;
        }
        long delivered = signal_number == SIGSTOP ? 0 : signal_number;
        ptrace(PTRACE_CONT, child, NULL, (void *)delivered);
    }
    if (WIFEXITED(result.status) && WEXITSTATUS(result.status) == 1) result.error = EPERM;
    return result;
}

void support_jump(void *address) {
    void (*function)(void);
    memcpy(&function, &address, sizeof function);
    function();
}

// Signal handlers that read mapped memory.

static const volatile unsigned char *read_in_handler;
static atomic_int signal_reads;

UNCHECKED static void read_on_signal(int signal_number) {
    (void)signal_number;
    int before = errno;
    unsigned char byte = *read_in_handler;
    atomic_fetch_add(&signal_reads, 1 + byte);
    errno = before;
}

int support_read_on_signal(int signal_number, const void *address) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    read_in_handler = address;
    action.sa_handler = read_on_signal;
    action.sa_flags = SA_ONSTACK;
    return sigaction(signal_number, &action, NULL) ? errno : 0;
}

int support_signal_reads(void) { return atomic_load(&signal_reads); }

// Cancellation.

struct cancel_job {
    const volatile unsigned char *address;
    int is_past;
};

UNCHECKED static void *read_cancelled(void *argument) {
    struct cancel_job *job = argument;
    pthread_cancel(pthread_self());
    unsigned char byte = *job->address;
    job->is_past = 1 + (byte & 0);
    pthread_testcancel();
    job->is_past = 2;
    return NULL;
}

int support_read_while_cancelled(const void *address) {
    struct cancel_job job = {.address = address};
    pthread_t thread;
    void *result = NULL;
    if (pthread_create(&thread, NULL, read_cancelled, &job)) return -1;
    pthread_join(thread, &result);
    return result == PTHREAD_CANCELED ? job.is_past : -2;
}
