#define _GNU_SOURCE
#include "faults.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST_NESTED = 8 };

struct guard {
  uintptr_t start;
  size_t size;
  volatile sig_atomic_t signal;
  volatile size_t offset;
};

static _Thread_local struct guard guards[MOST_NESTED];
static _Thread_local volatile sig_atomic_t depth;

static struct sigaction before_bus;
static struct sigaction before_segv;
static pthread_once_t installed = PTHREAD_ONCE_INIT;
static uintptr_t page_size;

/* Gives the signal to whoever had it before. */
static void pass_on(int number, siginfo_t *information, void *context) {
  struct sigaction *before = number == SIGBUS ? &before_bus : &before_segv;
  if (before->sa_flags & SA_SIGINFO) {
    before->sa_sigaction(number, information, context);
  } else if (before->sa_handler == SIG_DFL || before->sa_handler == SIG_IGN) {
    /* The access is made again when this returns, and ends the process as if nobody had been here. A signal that was sent
       and is no fault does not come again by itself. */
    signal(number, SIG_DFL);
    if (information->si_code <= 0) raise(number);
  } else {
    before->sa_handler(number);
  }
}

static void on_fault(int number, siginfo_t *information, void *context) {
  int saved = errno;
  uintptr_t address = (uintptr_t)information->si_addr;
  /* A signal that a process sent has a code of 0 or below and no address. */
  for (int at = information->si_code > 0 ? (int)depth - 1 : -1; at >= 0; at--) {
    struct guard *guard = &guards[at];
    if (address < guard->start || address - guard->start >= guard->size) continue;
    uintptr_t first = guard->start & ~(page_size - 1);
    /* A plain system call in glibc, though POSIX does not list it as safe in a handler. */
    void *zeroes = mmap((void *)first, guard->start + guard->size - first, PROT_READ | PROT_WRITE,
                        MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (zeroes == MAP_FAILED) break;
    guard->offset = address - guard->start;
    guard->signal = number;
    errno = saved;
    return;
  }
  errno = saved;
  pass_on(number, information, context);
}

static void install(void) {
  page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, &before_bus);
  sigaction(SIGSEGV, &action, &before_segv);
}

int cfaults_begin(void *start, size_t size) {
  pthread_once(&installed, install);
  if (depth >= MOST_NESTED) return ENOMEM;
  struct guard *guard = &guards[depth];
  guard->start = (uintptr_t)start;
  guard->size = size;
  guard->signal = 0;
  guard->offset = 0;
  depth = depth + 1;
  return 0;
}

struct cfaults_result cfaults_end(void) {
  struct cfaults_result result = {0, 0};
  if (depth == 0) return result;
  depth = depth - 1;
  result.signal = guards[depth].signal;
  result.offset = guards[depth].offset;
  return result;
}
