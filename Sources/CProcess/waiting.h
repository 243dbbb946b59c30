#ifndef PRIME_CPROCESS_WAITING_H
#define PRIME_CPROCESS_WAITING_H

#include <stdatomic.h>

/*
 * How many threads wait in cprocess_run_on_thread and cprocess_await_byte. Such a thread is in one call of the kernel, in C, and
 * holds no lock, of the C library or of the Swift runtime, so that a fork beside it loses nothing. One that wakes at that very
 * moment has the allocator's locks to take and no others, and fork keeps those whole.
 */
extern atomic_int cprocess_waiting_threads;

#endif
