#define _GNU_SOURCE
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "waiting.h"

int cprocess_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC) == 0 ? 0 : -errno; }

static int other_threads(void) {
  struct stat status;
  struct statfs file_system;
  /* Where procfs is not mounted, a folder of that name may hold anything: over 9p it is that of the process that serves it. */
  if (statfs("/proc", &file_system) != 0 || file_system.f_type != PROC_SUPER_MAGIC)
    return 0;
  /* A folder of /proc has two links and one for each thread (proc_task_getattr). */
  if (stat("/proc/self/task", &status) != 0)
    return 0;
  int others = (int)status.st_nlink - 2 - 1 - atomic_load(&cprocess_waiting_threads);
  return others > 0 ? others : 0;
}

void cprocess_count_threads_as_waiting(void) { atomic_fetch_add(&cprocess_waiting_threads, other_threads()); }

pid_t cprocess_fork(int *others) {
  for (int patience = 1000; (*others = other_threads()) > 0 && patience > 0; patience--)
    usleep(1000);
  if (*others > 0)
    return -1;
  pid_t child = fork();
  /* Those that waited are not there. */
  if (child == 0)
    atomic_store(&cprocess_waiting_threads, 0);
  return child;
}

void cprocess_enter_child(int outlives) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  setpgid(0, 0);
  if (outlives)
    signal(SIGPIPE, SIG_IGN);
  else
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

int cprocess_wait_status(pid_t child, int *status, int options) {
  pid_t result = waitpid(child, status, options);
  return result < 0 ? -errno : result;
}

int cprocess_exit_code(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : -1; }
int cprocess_end_signal(int status) { return WIFSIGNALED(status) ? WTERMSIG(status) : 0; }

/* Between fork and exec in a process with threads: calls that are safe in a signal handler, and nothing else. */
static void become_program(char *const *words, char *const *environment, int inherited, int quiet, int report) {
  static const int reset[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGXFSZ};
  for (unsigned index = 0; index < sizeof reset / sizeof *reset; index++)
    signal(reset[index], SIG_DFL);
  cprocess_enter_child(0);
  int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  /* Standard output is a report's. */
  if (nowhere >= 0 && dup2(nowhere, 0) == 0 && dup2(quiet ? nowhere : 2, 1) == 1 &&
      (!quiet || dup2(nowhere, 2) == 2) && fcntl(inherited, F_SETFD, 0) == 0)
    execvpe(words[0], words, environment);
  int number = errno;
  (void)!write(report, &number, sizeof number);
  _exit(127);
}

int cprocess_start_program(char *const *words, char *const *environment, int inherited, int quiet) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0)
    return -errno;
  pid_t child = fork();
  if (child == 0)
    become_program(words, environment, inherited, quiet, report[1]);
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
