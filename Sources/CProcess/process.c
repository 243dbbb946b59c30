#define _GNU_SOURCE
#include "process.h"

#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

static int count;
static char **words;

/* glibc gives a constructor what it gives main. */
__attribute__((constructor)) static void keep_words(int argc, char **argv) {
  count = argc;
  words = argv;
}

int cprocess_word_count(void) { return count; }

const char *cprocess_word(int index) { return index >= 0 && index < count ? words[index] : NULL; }

void cprocess_keep_descriptors(void) {
  /* CLOSE_RANGE_CLOEXEC. An older kernel refuses, and programs get what they got. */
  syscall(SYS_close_range, 3u, ~0u, 1u << 2);
}
