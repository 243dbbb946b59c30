#ifndef PRIME_CPROCESS_THREAD_H
#define PRIME_CPROCESS_THREAD_H

/* Threads. Where nothing else is said, the result is 0 or a negative errno. */

#include <pthread.h>
#include <sys/types.h>

/* The caller joins the thread or lets it go. */
int cprocess_start_thread(pthread_t *thread, void *(*body)(void *), void *argument);

/*
 * Runs a body on a thread of its own and waits for it. In C, since the body may fork: the thread that waits must not hold
 * a lock of the Swift runtime at that moment, which the child would find locked for ever.
 */
int cprocess_run_on_thread(void *(*body)(void *), void *argument);

/* Waits for one byte, or for the end of what comes. Another thread may fork meanwhile. */
void cprocess_await_byte(int descriptor);

/* Frees what a thread keeps: at once where its body is over, else when it ends. */
int cprocess_let_thread_go(pthread_t thread, int is_over);

/* Sends SIGUSR1 to a thread. */
int cprocess_interrupt_thread(pthread_t thread);

/* SIGUSR1 does nothing but interrupt, with or without the kernel restarting what it interrupted. */
int cprocess_arm_interruption(int restarting);

/* gettid(2). */
pid_t cprocess_thread_number(void);

/* What the calling thread is called in /proc/PID/task/TID/comm; the kernel keeps 15 bytes. */
int cprocess_name_thread(const char *name);

#endif
