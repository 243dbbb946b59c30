#ifndef PRIME_CDRM_PROGRAM_H
#define PRIME_CDRM_PROGRAM_H

/* Starting a program that must not outlive who started it, which posix_spawn cannot say. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "gnu.h"

/* Between fork and exec in a process with threads: calls that are safe in a signal handler, and nothing else. */
static inline void cdrm_become_program(
    char *const *words, char *const *environment, int inherited, int quiet, int report) {
  static const int reset[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGXFSZ};
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  for (unsigned index = 0; index < sizeof reset / sizeof *reset; index++)
    signal(reset[index], SIG_DFL);
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  /* Standard output is a report's. */
  if (nowhere >= 0 && dup2(nowhere, 0) == 0 && dup2(quiet ? nowhere : 2, 1) == 1 &&
      (!quiet || dup2(nowhere, 2) == 2) && fcntl(inherited, F_SETFD, 0) == 0)
    execvpe(words[0], words, environment);
  int number = errno;
  (void)!write(report, &number, sizeof number);
  _exit(127);
}

/*
 * Starts a program as a process group of its own, which inherits one descriptor beside the standard ones and is killed
 * when the thread that calls this ends. Its number, or a negative errno, exec's own as well.
 */
static inline int cdrm_start_program(char *const *words, char *const *environment, int inherited, int quiet) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0)
    return -errno;
  pid_t child = fork();
  if (child == 0)
    cdrm_become_program(words, environment, inherited, quiet, report[1]);
  int number = errno;
  close(report[1]);
  if (child > 0) {
    setpgid(child, child);
    ssize_t count;
    do {
      count = read(report[0], &number, sizeof number);
    } while (count < 0 && errno == EINTR);
    /* The other end is closed by exec, or was written to in its place. */
    if (count != sizeof number)
      number = 0;
    else
      while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
  }
  close(report[0]);
  return number == 0 ? child : -number;
}

#endif
