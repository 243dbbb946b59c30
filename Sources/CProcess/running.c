#define _GNU_SOURCE
#include "running.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

#include "clock.h"

/* A shorter one is no more than a busy machine does to a process. */
#define SHORTEST_STOP 500000000

static atomic_int_fast64_t last_seen;
static atomic_int_fast64_t stopped;

static void goes_on(int number) {
  (void)number;
  int64_t moment = cprocess_now();
  int64_t seen = atomic_exchange(&last_seen, moment);
  if (seen != 0 && moment - seen > SHORTEST_STOP) atomic_fetch_add(&stopped, moment - seen);
}

void cprocess_count_stops(void) {
  struct sigaction action = {.sa_handler = goes_on, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  cprocess_note_running();
  sigaction(SIGCONT, &action, NULL);
}

void cprocess_note_running(void) { atomic_store(&last_seen, cprocess_now()); }

int64_t cprocess_stopped_nanoseconds(void) { return atomic_load(&stopped); }
