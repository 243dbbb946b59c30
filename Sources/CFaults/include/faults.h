#ifndef PRIME_CFAULTS_H
#define PRIME_CFAULTS_H

#include <stddef.h>

/*
 * Reads and writes of mapped device memory that the kernel may refuse to back.
 *
 * A driver may hand out a mapping and refuse its pages later: the fault handler answers VM_FAULT_SIGBUS (TTM does so for
 * imported buffers), and a process that is not prepared for it dies. Between cfaults_begin and cfaults_end such a fault
 * puts zero-filled memory of the process's own where the mapping was, so that the access goes on and ends, and is told at
 * the end. What was read or written since is worth nothing then. libwayland does the same for shared memory of clients.
 *
 * The guard is the calling thread's own. SIGBUS and SIGSEGV anywhere else do what they did before.
 */

/* What became of a guarded access. */
struct cfaults_result {
  /* SIGBUS or SIGSEGV; 0 where every page was there. */
  int signal;
  /* Where in the range the first fault was, in bytes. */
  size_t offset;
};

/* Guards the whole pages that hold [start, start + size) on this thread; 0, or ENOMEM where eight are guarded already. */
int cfaults_begin(void *start, size_t size);

/* Ends the guard that began last on this thread. */
struct cfaults_result cfaults_end(void);

#endif
