#ifndef PRIME_CPROCESS_INTERRUPTION_H
#define PRIME_CPROCESS_INTERRUPTION_H

/*
 * SIGINT, SIGTERM, SIGHUP and SIGQUIT as a request to stop, and the end of a process that obeys neither that nor its time.
 *
 * Signal handlers note the request, so that it needs no thread. A thread watches the time; where the kernel gives none, a
 * timer's signal does, which a call that waits killable holds up. Children that are forked ignore the four signals.
 */

/*
 * Watches from now on, once in a process. `seconds` of running time after which the process is ended with the code 1 and
 * `late` on standard error; `patience` seconds after a request it is ended with 128 and the signal's number and `deaf`. A
 * second request within `echo` milliseconds is the same one (a process and its group are both signalled); a later one
 * ends the process at once. The strings have to live as long as the process.
 */
void cprocess_watch_interruptions(double seconds, const char *late, int patience, const char *deaf, int echo);

/* The signal that asked first; 0 where none did. */
int cprocess_interruption(void);

#endif
