// What tests of the SIGSEGV handler need and Swift cannot say: handlers,
// registers, stacks that are nearly full.

#ifndef CVIRTMEMTESTSUPPORT_H
#define CVIRTMEMTESTSUPPORT_H

#include <stddef.h>
#include <stdint.h>

// What the recording handlers saw last.
typedef struct support_seen {
    int count;
    int signal_number;
    int code;
    uintptr_t address;      // 0 in the plain form
    uintptr_t program_counter;
    uintptr_t stack;        // an address on the stack the handler ran on
    int blocks_segv;
    int blocks_usr1;
    int blocks_usr2;
} support_seen;

// Installs a SIGSEGV handler that records, and makes the page at `page`
// accessible so that the program can go on. `masked` is a signal to block in
// it, or 0. Returns 0 or an errno.
int support_install_recorder(int with_info, int flags, int masked, void *_Nullable page, size_t page_size);
support_seen support_last_seen(void);

// Installs a handler over the present one. It counts, and then calls the one it
// found; or it ends the process with `code`.
int support_install_chaining(void);
int support_chaining_count(void);
int support_install_exiting(int code);

// Sends this thread a SIGSEGV with the given code and address. 0 or an errno.
int support_send_segv(int code, const void *_Nonnull address);

// Touches `address` with known values in the registers. Returns a bit for each
// group that changed: 1 general, 2 flags, 4 x87 and SSE with their control words,
// 8 the upper halves of AVX.
int support_touch_with_registers(void *_Nonnull address, int is_write);
// Whether the function above knows this processor.
int support_knows_registers(void);

// Runs a thread whose stack has only about `left` bytes when it reads `address`;
// with `alternate` bytes of alternate signal stack, or none. Returns the byte read, or a negative errno.
int support_read_with_stack(const void *_Nonnull address, size_t left, size_t alternate);
// Runs a thread that recurses until its stack is full. Does not return.
int support_overflow_stack(size_t alternate);

// Forks a child that touches address 0 under ptrace.
typedef struct support_trace {
    int error;          // ptrace is not allowed here
    int stops;          // how often SIGSEGV arrived
    int elsewhere;      // how often not at the instruction itself
    int status;         // as of waitpid
} support_trace;
support_trace support_trace_null(int is_write);

// Calls `address` as a function.
void support_jump(void *_Nonnull address);

// Makes `signal_number` read `address` in its handler.
int support_read_on_signal(int signal_number, const void *_Nonnull address);
int support_signal_reads(void);

// Reads `address` in a thread that has a cancellation pending, then lets itself be
// cancelled. Returns 1 if it got past the read.
int support_read_while_cancelled(const void *_Nonnull address);

// Leaves the calling thread, and those it will start, one processor. Returns 0 or an errno.
int support_use_one_processor(void);

#endif
