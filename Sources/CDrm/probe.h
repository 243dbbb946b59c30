#ifndef PRIME_CDRM_PROBE_H
#define PRIME_CDRM_PROBE_H

/* What the contract's statements ask of the kernel: calls as they are, with arguments that no library would pass. */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Swift cannot call variadic functions. The value, or a negative errno. */
static inline int64_t cdrm_syscall(
    int64_t number, int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f) {
  long result = syscall(number, a, b, c, d, e, f);
  return result == -1 ? -errno : result;
}

/* One byte of a mapping that the kernel may refuse to back: SIGBUS belongs to the statement that looks. */
static inline uint8_t cdrm_peek(uint64_t address) { return *(volatile uint8_t *)(uintptr_t)address; }
static inline void cdrm_poke(uint64_t address, uint8_t byte) { *(volatile uint8_t *)(uintptr_t)address = byte; }

/* Swift hides fork, which is only sound while the process has one thread: the caller sees to that. */
static inline pid_t cdrm_fork(void) { return fork(); }

static inline int cdrm_wait_status(pid_t child, int *status, int options) {
  pid_t result = waitpid(child, status, options);
  return result < 0 ? -errno : result;
}

/* The macros of <sys/wait.h>. */
static inline int cdrm_exit_code(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : -1; }
static inline int cdrm_end_signal(int status) { return WIFSIGNALED(status) ? WTERMSIG(status) : 0; }

/* A descriptor that reads SIGINT, SIGTERM, SIGHUP and SIGQUIT, which no longer end the process by themselves; nor does a
   pipe that is no longer read. */
static inline int cdrm_watch_stop_signals(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGQUIT);
  /* Whoever was started by nohup is not to end with its terminal. */
  struct sigaction hangup;
  if (sigaction(SIGHUP, NULL, &hangup) != 0 || hangup.sa_handler != SIG_IGN)
    sigaddset(&set, SIGHUP);
  signal(SIGPIPE, SIG_IGN);
  if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
    return -errno;
  int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  return fd < 0 ? -errno : fd;
}

/* Makes a child its own process group, which obeys signals again, and which ends with its parent unless it outlives it to
   put something in order: then a pipe that its parent no longer reads is no reason to die either. */
static inline void cdrm_enter_child(int outlives) {
  sigset_t set;
  sigemptyset(&set);
  sigprocmask(SIG_SETMASK, &set, NULL);
  setpgid(0, 0);
  if (outlives)
    signal(SIGPIPE, SIG_IGN);
  else
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static inline void cdrm_ignore(int signal) { (void)signal; }

/* SIGUSR1 does nothing but interrupt, with or without the kernel restarting what it interrupted. */
static inline int cdrm_arm_interruption(int restarting) {
  struct sigaction action = {.sa_handler = cdrm_ignore, .sa_flags = restarting ? SA_RESTART : 0};
  return sigaction(SIGUSR1, &action, NULL) == 0 ? 0 : -errno;
}

static inline int cdrm_start_thread(pthread_t *thread, void *(*body)(void *), void *argument) {
  return -pthread_create(thread, NULL, body, argument);
}

/* Runs a body on a thread of its own and waits for it. In C, since the body may fork: the thread that waits must not hold
   a lock of the Swift runtime at that moment, which the child would find locked for ever. */
static inline int cdrm_run_on_thread(void *(*body)(void *), void *argument) {
  pthread_t thread;
  int result = pthread_create(&thread, NULL, body, argument);
  return result != 0 ? -result : -pthread_join(thread, NULL);
}

/* Frees what a thread keeps: at once where its body is over, else when it ends. */
static inline int cdrm_let_thread_go(pthread_t thread, int is_over) {
  return is_over ? -pthread_join(thread, NULL) : -pthread_detach(thread);
}

static inline int cdrm_interrupt_thread(pthread_t thread) { return -pthread_kill(thread, SIGUSR1); }

#endif
