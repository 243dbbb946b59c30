#ifndef PRIME_CPROCESS_H
#define PRIME_CPROCESS_H

/* What a process is started with. */

/*
 * How many words it was started with, the program's own name included. Swift's runtime reads them from /proc and loses
 * them where that is not mounted.
 */
int cprocess_word_count(void);

/* One of them; it lives as long as the process. NULL beyond the last. */
const char *cprocess_word(int index);

/* Keeps what is open beside the standard streams from the programs that are started: close_range(2), Linux 5.11. */
void cprocess_keep_descriptors(void);

#endif
