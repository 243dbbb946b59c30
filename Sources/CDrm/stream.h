#ifndef PRIME_CDRM_STREAM_H
#define PRIME_CDRM_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Sixteen bytes: the widest store that every 64-bit processor has. */
typedef uint64_t cdrm_stream_vector __attribute__((vector_size(16)));

/* The word whose bytes begin `offset` bytes into a repetition of `key`; little-endian. */
static inline uint64_t cdrm_stream_turned(uint64_t key, size_t offset) {
  unsigned turn = (unsigned)(offset & 7) * 8;
  return turn == 0 ? key : key >> turn | key << (64 - turn);
}

/*
 * Writes byteCount bytes of words, each XORed with key, with stores that go past the caches.
 *
 * A plain store of a line that is not cached reads the line first, which doubles the traffic of a picture larger than
 * the caches. Swift has no such store, which is why this is C. Neither pointer needs an alignment. Little-endian hosts.
 */
static inline void cdrm_stream_row(void *destination, const uint64_t *words, uint64_t key, size_t byteCount) {
  unsigned char *to = destination;
  const unsigned char *from = (const unsigned char *)words;
  size_t offset = (size_t)(-(uintptr_t)to & 15);
  if (offset > byteCount) offset = byteCount;
  for (size_t at = 0; at < offset; at++) to[at] = (unsigned char)(from[at] ^ key >> (at & 7) * 8);

  uint64_t turned = cdrm_stream_turned(key, offset);
  cdrm_stream_vector keys = {turned, turned};
  for (; byteCount - offset >= 64; offset += 64) {
    cdrm_stream_vector block[4];
    memcpy(block, from + offset, sizeof block);
    cdrm_stream_vector *line = (cdrm_stream_vector *)(void *)(to + offset);
    __builtin_nontemporal_store(block[0] ^ keys, line);
    __builtin_nontemporal_store(block[1] ^ keys, line + 1);
    __builtin_nontemporal_store(block[2] ^ keys, line + 2);
    __builtin_nontemporal_store(block[3] ^ keys, line + 3);
  }
  for (; offset < byteCount; offset++) to[offset] = (unsigned char)(from[offset] ^ key >> (offset & 7) * 8);
}

/*
 * Whether cdrm_wide_row may be called. Swift compiles for the oldest processor of an architecture, whose stores reach
 * half of what memset, which asks the processor, reaches in a cache.
 */
static inline int cdrm_wide_available(void) {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") != 0;
#else
  return 0;
#endif
}

/* Writes byteCount bytes of words, each XORed with key, with 32-byte stores. Neither pointer needs an alignment. */
#if defined(__x86_64__)
__attribute__((target("avx2")))
#endif
static inline void cdrm_wide_row(void *destination, const uint64_t *words, uint64_t key, size_t byteCount) {
  typedef uint64_t vector __attribute__((vector_size(32)));
  unsigned char *to = destination;
  const unsigned char *from = (const unsigned char *)words;
  vector keys = {key, key, key, key};
  size_t offset = 0;
  /* Four at a time: the speed of a shorter loop depends on where the linker puts it. */
  for (; byteCount - offset >= 4 * sizeof keys; offset += 4 * sizeof keys) {
    vector block[4];
    memcpy(block, from + offset, sizeof block);
    block[0] ^= keys;
    block[1] ^= keys;
    block[2] ^= keys;
    block[3] ^= keys;
    memcpy(to + offset, block, sizeof block);
  }
  for (; offset < byteCount; offset++) to[offset] = (unsigned char)(from[offset] ^ key >> (offset & 7) * 8);
}

/* Orders streamed stores before every later store; without it another device could see them late. */
static inline void cdrm_stream_finish(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_sfence();
#else
  __sync_synchronize();
#endif
}

#endif
