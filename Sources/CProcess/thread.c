#define _GNU_SOURCE
#include "thread.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "waiting.h"

atomic_int cprocess_waiting_threads;

int cprocess_start_thread(pthread_t *thread, void *(*body)(void *), void *argument) {
  return -pthread_create(thread, NULL, body, argument);
}

int cprocess_run_on_thread(void *(*body)(void *), void *argument) {
  pthread_t thread;
  /* Before there is the other thread, which may look at once. */
  atomic_fetch_add(&cprocess_waiting_threads, 1);
  int result = pthread_create(&thread, NULL, body, argument);
  if (result == 0)
    result = pthread_join(thread, NULL);
  atomic_fetch_sub(&cprocess_waiting_threads, 1);
  return -result;
}

void cprocess_await_byte(int descriptor) {
  char byte;
  ssize_t count;
  atomic_fetch_add(&cprocess_waiting_threads, 1);
  do {
    count = read(descriptor, &byte, 1);
  } while (count < 0 && errno == EINTR);
  atomic_fetch_sub(&cprocess_waiting_threads, 1);
}

int cprocess_let_thread_go(pthread_t thread, int is_over) {
  return is_over ? -pthread_join(thread, NULL) : -pthread_detach(thread);
}

int cprocess_interrupt_thread(pthread_t thread) { return -pthread_kill(thread, SIGUSR1); }

static void ignore(int number) { (void)number; }

int cprocess_arm_interruption(int restarting) {
  struct sigaction action = {.sa_handler = ignore, .sa_flags = restarting ? SA_RESTART : 0};
  return sigaction(SIGUSR1, &action, NULL) == 0 ? 0 : -errno;
}

pid_t cprocess_thread_number(void) { return gettid(); }

int cprocess_name_thread(const char *name) { return -pthread_setname_np(pthread_self(), name); }
