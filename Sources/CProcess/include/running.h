#ifndef PRIME_CPROCESS_RUNNING_H
#define PRIME_CPROCESS_RUNNING_H

#include <stdint.h>

/*
 * How long the process was stopped (SIGSTOP, SIGTSTP), which is no time that its work had. Nobody is told when a stop
 * begins, so that the process notes while it runs that it does; SIGCONT then tells how long it did not.
 */

/* Counts stops from now on, in the children that are forked as well. */
void cprocess_count_stops(void);

/* Notes that the process runs at this moment. */
void cprocess_note_running(void);

/* Nanoseconds for which the process was stopped; 0 where nobody counts. */
int64_t cprocess_stopped_nanoseconds(void);

#endif
