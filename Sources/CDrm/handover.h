#ifndef PRIME_CDRM_HANDOVER_H
#define PRIME_CDRM_HANDOVER_H

/* A descriptor on its way through a socket: Swift has none of the CMSG macros. */

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

typedef union {
  struct cmsghdr header;
  char space[CMSG_SPACE(sizeof(int))];
} cdrm_rights;

/* Two ends, 0 or a negative errno. Packets, so that a descriptor comes with the byte it was sent with. */
static inline int cdrm_socket_pair(int ends[2]) {
  return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0 ? 0 : -errno;
}

/* Hands over one descriptor beside one byte. */
static inline int cdrm_send_descriptor(int socket, int descriptor) {
  char byte = 'd';
  cdrm_rights rights = {0};
  struct iovec text = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {
      .msg_iov = &text, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof(rights)};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
  return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ? 0 : -errno;
}

/* The descriptor that arrived, close-on-exec; EBADMSG where a message came without one, EPIPE where the other end is gone. */
static inline int cdrm_receive_descriptor(int socket) {
  char byte;
  cdrm_rights rights = {0};
  struct iovec text = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {
      .msg_iov = &text, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof(rights)};
  ssize_t count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (count < 0)
    return -errno;
  if (count == 0)
    return -EPIPE;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
    return -EBADMSG;
  int descriptor;
  memcpy(&descriptor, CMSG_DATA(header), sizeof(int));
  return descriptor;
}

#endif
