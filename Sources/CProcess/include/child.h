#ifndef PRIME_CPROCESS_CHILD_H
#define PRIME_CPROCESS_CHILD_H

/* Children: forks that go on in this program, and programs that must not outlive who started them. */

#include <sys/types.h>

/* pipe2(2), close-on-exec: the end to read and the end to write. 0 or a negative errno. */
int cprocess_pipe(int ends[2]);

/*
 * fork(2) without exec, which copies the calling thread, and the locks of all. So it is refused, with -1, while others run: those of
 * /proc/self/task but for the caller and those that wait (cprocess_run_on_thread, cprocess_await_byte). `others` says how many
 * they are, and is 0 where the kernel was asked. A thread that has ended is listed a little longer, and is waited for, a second at
 * the most. Where /proc is not mounted, nothing is refused.
 */
pid_t cprocess_fork(int *others);

/*
 * Counts the threads that there are beside the caller as ones that wait from now on: a process of tests has them of its library's,
 * and they have nothing to do.
 */
void cprocess_count_threads_as_waiting(void);

/*
 * Makes a child its own process group, which obeys signals again, and which ends with its parent unless it outlives it to
 * put something in order: then a pipe that its parent no longer reads is no reason to die either.
 */
void cprocess_enter_child(int outlives);

/* waitpid(2): the child's number, 0 where it runs and the options are not to wait, or a negative errno. */
int cprocess_wait_status(pid_t child, int *status, int options);

/* The macros of <sys/wait.h>: -1 where it did not exit, 0 where no signal ended it. */
int cprocess_exit_code(int status);
int cprocess_end_signal(int status);

/*
 * Starts a program as a process group of its own, which inherits one descriptor beside the standard ones and is killed
 * when the thread that calls this ends (posix_spawn cannot say that). Its number, or a negative errno, exec's own as well.
 */
int cprocess_start_program(char *const *words, char *const *environment, int inherited, int quiet);

#endif
