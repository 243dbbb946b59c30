#ifndef PRIME_CDRM_BPF_H
#define PRIME_CDRM_BPF_H

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/bpf.h>

#include "restart.h"

/* bpf(2), as far as an iterator needs it: a descriptor, which the kernel makes close-on-exec, or a negative errno. */

/*
 * The verifier answers EAGAIN where a signal comes. What a kernel that is older than the headers does not know of the
 * argument is zero, which it takes.
 */
static inline int cdrm_bpf(enum bpf_cmd command, union bpf_attr *argument) {
  int64_t begun = cdrm_monotonic_now();
  long result;
  do {
    result = syscall(SYS_bpf, command, argument, sizeof *argument);
  } while (result == -1 && cdrm_is_interrupted(begun));
  return result < 0 ? -errno : (int)result;
}

/* The function is that of the iterator's target, by its number in the kernel's BTF; an instruction has eight bytes. */
static inline int cdrm_bpf_load_iterator(
    const uint64_t *instructions, uint32_t count, uint32_t function, const char *licence) {
  union bpf_attr argument;
  memset(&argument, 0, sizeof argument);
  argument.prog_type = BPF_PROG_TYPE_TRACING;
  argument.expected_attach_type = BPF_TRACE_ITER;
  argument.attach_btf_id = function;
  argument.insns = (uint64_t)(uintptr_t)instructions;
  argument.insn_cnt = count;
  argument.license = (uint64_t)(uintptr_t)licence;
  return cdrm_bpf(BPF_PROG_LOAD, &argument);
}

static inline int cdrm_bpf_link_iterator(int program) {
  union bpf_attr argument;
  memset(&argument, 0, sizeof argument);
  argument.link_create.prog_fd = (uint32_t)program;
  argument.link_create.attach_type = BPF_TRACE_ITER;
  return cdrm_bpf(BPF_LINK_CREATE, &argument);
}

static inline int cdrm_bpf_open_iterator(int link) {
  union bpf_attr argument;
  memset(&argument, 0, sizeof argument);
  argument.iter_create.link_fd = (uint32_t)link;
  return cdrm_bpf(BPF_ITER_CREATE, &argument);
}

#endif
