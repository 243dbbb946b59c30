#define _GNU_SOURCE
#include "interruption.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

/* Between two looks at the time. A look counts as this much, so that time for which the process was stopped does not. */
#define TICK_MILLISECONDS 100

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
#define SIGNAL_COUNT (sizeof(signals) / sizeof(signals[0]))

static atomic_int requested;
static atomic_int_fast64_t requested_at;
static atomic_int_fast64_t ticks;
static atomic_int_fast64_t ticks_at_request;
static int64_t last_tick;
static int64_t patience_ticks;
static int echo_milliseconds;
static const char *late_sentence;
static const char *deaf_sentence;

/* Runs in handlers and beside a thread that may hold any lock: write and _exit only. */
static void end(const char *sentence, int code) {
  if (sentence != NULL && write(STDERR_FILENO, sentence, strlen(sentence)) < 0) code = code != 0 ? code : 1;
  _exit(code);
}

static void request(int number) {
  int none = 0;
  int64_t moment = cprocess_now();
  if (atomic_compare_exchange_strong(&requested, &none, number)) {
    atomic_store(&requested_at, moment);
    atomic_store(&ticks_at_request, atomic_load(&ticks));
  } else if (moment - atomic_load(&requested_at) > (int64_t)echo_milliseconds * 1000000) {
    end(NULL, 128 + number);
  }
}

static void tick(void) {
  int64_t count = atomic_fetch_add(&ticks, 1) + 1;
  int number = atomic_load(&requested);
  if (number != 0 && count - atomic_load(&ticks_at_request) > patience_ticks) end(deaf_sentence, 128 + number);
  if (count > last_tick) end(late_sentence, 1);
}

static void *watch(void *argument) {
  struct timespec pause = {.tv_nsec = TICK_MILLISECONDS * 1000000};
  for (;;) {
    nanosleep(&pause, NULL);
    tick();
  }
  return argument;
}

static void tick_by_signal(int number) {
  (void)number;
  tick();
}

static void start_timer(void) {
  struct sigaction action = {.sa_handler = tick_by_signal, .sa_flags = SA_RESTART};
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
  struct itimerspec time = {.it_value.tv_nsec = TICK_MILLISECONDS * 1000000, .it_interval.tv_nsec = TICK_MILLISECONDS * 1000000};
  timer_t timer;
  sigemptyset(&action.sa_mask);
  sigaction(SIGRTMIN, &action, NULL);
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0) timer_settime(timer, 0, &time, NULL);
}

static void ignore_in_child(void) {
  for (size_t index = 0; index < SIGNAL_COUNT; index++) signal(signals[index], SIG_IGN);
}

void cprocess_watch_interruptions(double seconds, const char *late, int patience, const char *deaf, int echo) {
  double wanted = seconds * 1000 / TICK_MILLISECONDS;
  last_tick = wanted < 1e15 ? (int64_t)wanted : (int64_t)1e15;
  patience_ticks = (int64_t)patience * 1000 / TICK_MILLISECONDS;
  echo_milliseconds = echo;
  late_sentence = late;
  deaf_sentence = deaf;
  pthread_atfork(NULL, NULL, ignore_in_child);
  struct sigaction action = {.sa_handler = request, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  for (size_t index = 0; index < SIGNAL_COUNT; index++) sigaddset(&action.sa_mask, signals[index]);
  for (size_t index = 0; index < SIGNAL_COUNT; index++) {
    struct sigaction inherited;
    /* Whoever was started by nohup is not to end with its terminal. */
    if (signals[index] == SIGHUP && sigaction(SIGHUP, NULL, &inherited) == 0 && inherited.sa_handler == SIG_IGN) continue;
    sigaction(signals[index], &action, NULL);
  }

  /* The thread takes no signal: that is to interrupt what the work waits for. */
  sigset_t all, before;
  pthread_t thread;
  pthread_attr_t attributes;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64 * 1024);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  int refusal = pthread_create(&thread, &attributes, watch, NULL);
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (refusal != 0) start_timer();
}

int cprocess_interruption(void) { return atomic_load(&requested); }
