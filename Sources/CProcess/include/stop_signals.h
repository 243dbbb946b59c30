#ifndef PRIME_CPROCESS_STOP_SIGNALS_H
#define PRIME_CPROCESS_STOP_SIGNALS_H

/*
 * A descriptor that reads SIGINT, SIGTERM, SIGHUP and SIGQUIT (signalfd(2)), which no longer end the process by themselves;
 * nor does a pipe that is no longer read. A negative errno where there is none.
 */
int cprocess_watch_stop_signals(void);

#endif
