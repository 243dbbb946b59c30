/*
 * Hands a buffer over, or takes one, as docs/handover.md describes: the other end of `prime-tool export` and
 * `prime-tool import` in plain C, without any library.
 *
 *   cc -o handover handover.c
 *   ./handover import PATH      takes an XRGB8888 picture, compares every byte, writes back where it is asked to
 *   ./handover export PATH      makes one from /dev/udmabuf (64x48), asks for a write-back, compares every byte
 *
 * PATH may be abstract:NAME. It ends with 0 where everything was as it should be, and says what was not.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/magic.h>
#include <linux/udmabuf.h>

enum { OFFER = 1, ANSWER = 2, VERDICT = 3 };
enum { VERIFIED = 1, MISMATCH = 2, REFUSED = 3, FAILED = 4 };
enum { OFFER_BYTES = 128, REPLY_BYTES = 256, SENTENCE_BYTES = 224 };
enum { WROTE_BACK = 1 };
enum { WAIT_MILLISECONDS = 30000 };
static const uint32_t XRGB8888 = 0x34325258;

/* Numbers in messages. */

static void put(uint8_t *at, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++)
    at[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *at, int bytes) {
  uint64_t value = 0;
  for (int i = bytes; i-- > 0;)
    value = value << 8 | at[i];
  return value;
}

static void put_header(uint8_t *message, int kind, uint32_t length) {
  memset(message, 0, length);
  memcpy(message, "PRMB", 4);
  put(message + 4, 1, 2);
  put(message + 6, (uint64_t)kind, 2);
  put(message + 8, length, 4);
}

/* What is wrong with a header, NULL when nothing is. */
static const char *header_problem(const uint8_t *message, ssize_t count, int kind, uint32_t length) {
  if (count != (ssize_t)length || memcmp(message, "PRMB", 4) != 0 || get(message + 8, 4) != length)
    return "this is no message of the size that is due";
  if (get(message + 4, 2) != 1)
    return "another version of the format";
  if (get(message + 6, 2) != (uint64_t)kind || get(message + 12, 4) != 0)
    return "another kind of message than is due";
  return NULL;
}

/* The content. */

static uint64_t mix(uint64_t v) {
  v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9u;
  v = (v ^ v >> 27) * 0x94d049bb133111ebu;
  return v ^ v >> 31;
}

static const uint64_t golden = 0x9e3779b97f4a7c15u;

static uint64_t generation(uint64_t seed, unsigned number) {
  uint64_t start = mix(seed ^ 0x7374617274212121u), step = mix(seed ^ 0x7374657021212121u), key = 0;
  for (int b = 0; b < 8; b++) {
    uint8_t byte = (uint8_t)((start >> 8 * b) + number * ((step >> 8 * b & 0xff) | 1));
    key |= (uint64_t)byte << 8 * b;
  }
  return key;
}

/* The byte at a position of a row of plane 0. */
static uint8_t content(uint64_t seed, uint64_t generation, uint64_t y, uint64_t position) {
  uint64_t base = mix(seed + golden);
  uint64_t column = mix(mix(base ^ 0x636f6c756d6e7321u) + (position / 8 + 1) * golden);
  uint64_t row = mix(mix(base ^ 0x726f777321212121u) + (y + 1) * golden) ^ generation;
  return (uint8_t)((column ^ row) >> 8 * (position % 8));
}

struct picture {
  int fd;
  size_t size;
  uint64_t seed, offset;
  uint32_t width, height, pitch;
};

static int bracket(int fd, uint64_t flags) {
  struct dma_buf_sync argument = {.flags = flags};
  int result;
  do
    result = ioctl(fd, DMA_BUF_IOCTL_SYNC, &argument);
  while (result != 0 && (errno == EINTR || errno == EAGAIN));
  return result;
}

/* Writes a pattern, or counts the bytes that are not as it says; -1 where the buffer cannot be looked at. */
static int64_t visit(const struct picture *picture, unsigned number, int writing) {
  int protection = writing ? PROT_READ | PROT_WRITE : PROT_READ;
  uint64_t access = writing ? DMA_BUF_SYNC_WRITE : DMA_BUF_SYNC_READ;
  /* From offset 0: some exporters show the wrong page otherwise. */
  uint8_t *memory = mmap(NULL, picture->size, protection, MAP_SHARED, picture->fd, 0);
  if (memory == MAP_FAILED)
    return -1;
  int64_t wrong = 0;
  if (bracket(picture->fd, DMA_BUF_SYNC_START | access) != 0) {
    munmap(memory, picture->size);
    return -1;
  }
  uint64_t key = generation(picture->seed, number);
  for (uint64_t y = 0; y < picture->height; y++) {
    uint8_t *row = memory + picture->offset + y * picture->pitch;
    for (uint64_t position = 0; position < (uint64_t)picture->width * 4; position++) {
      uint8_t byte = content(picture->seed, key, y, position);
      if (writing)
        row[position] = byte;
      else if (row[position] != byte)
        wrong++;
    }
  }
  if (bracket(picture->fd, DMA_BUF_SYNC_END | access) != 0)
    wrong = -1;
  munmap(memory, picture->size);
  return wrong;
}

/* The socket. */

static int fail(const char *what) {
  fprintf(stderr, "handover: %s: %s\n", what, strerror(errno));
  return -1;
}

static int wait_for(int fd, const char *what) {
  struct pollfd request = {.fd = fd, .events = POLLIN};
  int result;
  do
    result = poll(&request, 1, WAIT_MILLISECONDS);
  while (result < 0 && errno == EINTR);
  if (result > 0)
    return 0;
  if (result == 0)
    errno = ETIMEDOUT;
  return fail(what);
}

static socklen_t address_of(const char *text, struct sockaddr_un *address) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  int abstract = strncmp(text, "abstract:", 9) == 0;
  const char *name = abstract ? text + 9 : text;
  size_t length = strlen(name);
  if (length == 0 || length >= sizeof address->sun_path)
    return 0;
  /* A zero byte comes before an abstract name and behind a path. */
  memcpy(address->sun_path + abstract, name, length);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
}

/* Only our own user may be at the other end. */
static int check_peer(int fd) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return fail("SO_PEERCRED");
  if (peer.uid == geteuid())
    return 0;
  fprintf(stderr, "handover: the other end is user %u\n", peer.uid);
  return -1;
}

static int send_message(int fd, const uint8_t *bytes, size_t count, int descriptor) {
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  memset(&control, 0, sizeof control);
  struct iovec text = {.iov_base = (void *)bytes, .iov_len = count};
  struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
  if (descriptor >= 0) {
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &descriptor, sizeof(int));
  }
  return sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)count ? 0 : fail("sendmsg");
}

/* One message; its one descriptor, or -1. Any others are closed, and make it a message that is refused. */
static ssize_t receive_message(int fd, uint8_t *bytes, size_t room, int *descriptor, const char *what) {
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(4 * sizeof(int))];
  } control;
  struct iovec text = {.iov_base = bytes, .iov_len = room};
  struct msghdr message = {
      .msg_iov = &text, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  *descriptor = -1;
  if (wait_for(fd, what) != 0)
    return -1;
  ssize_t count = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  if (count < 0)
    return fail(what);
  int extra = 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
      continue;
    for (size_t at = CMSG_LEN(0); at + sizeof(int) <= header->cmsg_len; at += sizeof(int)) {
      int found;
      memcpy(&found, (char *)header + at, sizeof(int));
      if (*descriptor < 0) {
        *descriptor = found;
      } else {
        close(found);
        extra = 1;
      }
    }
  }
  if (extra || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
    return 0;
  if (count == 0)
    fprintf(stderr, "handover: the other end went away before %s\n", what);
  return count;
}

static int send_reply(int fd, int kind, int outcome, uint32_t flags, const char *sentence) {
  uint8_t message[REPLY_BYTES];
  put_header(message, kind, REPLY_BYTES);
  size_t length = strlen(sentence);
  if (length > SENTENCE_BYTES)
    length = SENTENCE_BYTES;
  put(message + 16, (uint64_t)outcome, 4);
  put(message + 24, flags, 4);
  put(message + 28, length, 4);
  memcpy(message + 32, sentence, length);
  return send_message(fd, message, sizeof message, -1);
}

static int receive_reply(int fd, int kind, uint8_t message[REPLY_BYTES], const char *what) {
  int descriptor;
  ssize_t count = receive_message(fd, message, REPLY_BYTES, &descriptor, what);
  if (descriptor >= 0)
    close(descriptor);
  const char *problem = count < 0 ? "nothing came" : header_problem(message, count, kind, REPLY_BYTES);
  if (problem == NULL && get(message + 28, 4) > SENTENCE_BYTES)
    problem = "a sentence that is too long";
  if (problem == NULL)
    return 0;
  fprintf(stderr, "handover: %s: %s\n", what, problem);
  return -1;
}

/* The importing end. */

/* Checks the offer against its descriptor; what does not hold, NULL when everything does. */
static const char *examine_offer(const uint8_t *offer, ssize_t count, struct picture *picture, int *write_back) {
  const char *problem = header_problem(offer, count, OFFER, OFFER_BYTES);
  if (problem != NULL)
    return problem;
  uint64_t access = get(offer + 28, 4), flags = get(offer + 56, 4);
  picture->width = (uint32_t)get(offer + 20, 4);
  picture->height = (uint32_t)get(offer + 24, 4);
  picture->seed = get(offer + 40, 8);
  picture->pitch = (uint32_t)get(offer + 68, 4);
  picture->offset = get(offer + 72, 8);
  *write_back = (flags & 1) != 0;
  if (get(offer + 16, 4) != XRGB8888 || get(offer + 32, 8) != 0)
    return "only linear XRGB8888 is known here";
  if (get(offer + 48, 4) != 1 || get(offer + 52, 4) != 1 || get(offer + 64, 4) != 0 || picture->fd < 0)
    return "one plane in one buffer is what XRGB8888 has";
  for (int at = 80; at < OFFER_BYTES; at++)
    if (offer[at] != 0)
      return "a plane that is not used must be zero";
  if ((access != 1 && access != 3) || flags > 1 || get(offer + 60, 4) != 0 || (*write_back && access != 3))
    return "a field has a value that it cannot have";
  if (picture->width == 0 || picture->height == 0 || picture->pitch / 4 < picture->width)
    return "the size and the pitch do not fit together";

  struct statfs status;
  if (fstatfs(picture->fd, &status) != 0 || status.f_type != DMA_BUF_MAGIC)
    return "the descriptor is no dma-buf";
  int mode = fcntl(picture->fd, F_GETFL) & O_ACCMODE;
  if (mode != (access == 3 ? O_RDWR : O_RDONLY))
    return "the descriptor allows something else than was said";
  off_t size = lseek(picture->fd, 0, SEEK_END);
  uint64_t rows = (uint64_t)picture->pitch * (picture->height - 1) + (uint64_t)picture->width * 4;
  if (size < 0 || picture->offset > (uint64_t)size || rows > (uint64_t)size - picture->offset)
    return "the plane reaches beyond its buffer";
  picture->size = (size_t)size;
  return NULL;
}

static int take(int fd) {
  uint8_t offer[OFFER_BYTES], verdict[REPLY_BYTES];
  struct picture picture = {.fd = -1};
  int write_back = 0;
  ssize_t count = receive_message(fd, offer, sizeof offer, &picture.fd, "the offer");
  if (count < 0)
    return 1;
  const char *problem = examine_offer(offer, count, &picture, &write_back);
  int outcome = REFUSED;
  if (problem == NULL) {
    int64_t wrong = visit(&picture, 0, 0);
    outcome = wrong == 0 ? VERIFIED : wrong > 0 ? MISMATCH : FAILED;
    problem = wrong == 0 ? NULL : wrong > 0 ? "the content is not pattern 0" : "the buffer cannot be looked at";
    if (wrong == 0 && write_back && visit(&picture, 1, 1) != 0) {
      outcome = FAILED;
      problem = "the buffer cannot be written";
    }
  }
  /* The mapping is gone; the descriptor goes before the connection, which says that it has. */
  if (picture.fd >= 0)
    close(picture.fd);
  write_back = write_back && outcome == VERIFIED;
  if (send_reply(fd, ANSWER, outcome, write_back ? WROTE_BACK : 0, problem == NULL ? "" : problem) != 0)
    return 1;
  if (problem != NULL) {
    fprintf(stderr, "handover: %s\n", problem);
    return 1;
  }
  if (receive_reply(fd, VERDICT, verdict, "the verdict") != 0)
    return 1;
  if (get(verdict + 16, 4) != VERIFIED) {
    fprintf(stderr, "handover: the exporter: %.*s\n", (int)get(verdict + 28, 4), (char *)verdict + 32);
    return 1;
  }
  printf("%ux%u verified%s\n", picture.width, picture.height, write_back ? ", written back and seen" : "");
  return 0;
}

/* The exporting end. */

static int make_buffer(struct picture *picture) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  picture->size = ((size_t)picture->pitch * picture->height + page - 1) / page * page;
  int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
  if (device < 0)
    return fail("/dev/udmabuf");
  int memory = memfd_create("handover", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (memory < 0 || ftruncate(memory, (off_t)picture->size) != 0 || fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK) != 0)
    return fail("memfd_create");
  struct udmabuf_create argument = {
      .memfd = (uint32_t)memory, .flags = UDMABUF_FLAGS_CLOEXEC, .size = picture->size};
  picture->fd = ioctl(device, UDMABUF_CREATE, &argument);
  close(memory);
  close(device);
  return picture->fd < 0 ? fail("UDMABUF_CREATE") : 0;
}

static int give(int fd) {
  uint8_t offer[OFFER_BYTES], answer[REPLY_BYTES];
  struct picture picture = {.width = 64, .height = 48, .pitch = 256, .seed = 0x5eed};
  if (make_buffer(&picture) != 0)
    return 1;
  if (visit(&picture, 0, 1) != 0)
    return fail("the buffer cannot be written") != 0;
  put_header(offer, OFFER, OFFER_BYTES);
  put(offer + 16, XRGB8888, 4);
  put(offer + 20, picture.width, 4);
  put(offer + 24, picture.height, 4);
  put(offer + 28, 3, 4);
  put(offer + 40, picture.seed, 8);
  put(offer + 48, 1, 4);
  put(offer + 52, 1, 4);
  put(offer + 56, 1, 4);
  put(offer + 68, picture.pitch, 4);
  if (send_message(fd, offer, sizeof offer, picture.fd) != 0)
    return 1;
  if (receive_reply(fd, ANSWER, answer, "the answer") != 0)
    return 1;
  int verified = get(answer + 16, 4) == VERIFIED, wrote_back = (get(answer + 24, 4) & WROTE_BACK) != 0;
  int64_t wrong = visit(&picture, wrote_back ? 1 : 0, 0);
  int outcome = wrong == 0 ? VERIFIED : wrong > 0 ? MISMATCH : FAILED;
  send_reply(fd, VERDICT, outcome, wrote_back ? WROTE_BACK : 0, wrong == 0 ? "" : "the content is not as it should be");
  /* The importer closes when it holds the buffer no more. */
  uint8_t byte;
  if (wait_for(fd, "the importer to be done") != 0 || recv(fd, &byte, 1, 0) > 0)
    return 1;
  close(picture.fd);
  if (!verified) {
    fprintf(stderr, "handover: the importer: %.*s\n", (int)get(answer + 28, 4), (char *)answer + 32);
    return 1;
  }
  if (wrong != 0 || !wrote_back) {
    fprintf(stderr, "handover: %lld bytes are wrong, %s\n", (long long)wrong,
            wrote_back ? "written back" : "not written back");
    return 1;
  }
  printf("%ux%u written back and verified\n", picture.width, picture.height);
  return 0;
}

int main(int count, char **arguments) {
  struct sockaddr_un address;
  int importing = count == 3 && strcmp(arguments[1], "import") == 0;
  int exporting = count == 3 && strcmp(arguments[1], "export") == 0;
  socklen_t size = importing || exporting ? address_of(arguments[2], &address) : 0;
  if (size == 0) {
    fprintf(stderr, "usage: handover import|export PATH|abstract:NAME\n");
    return 64;
  }
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return fail("socket") != 0;
  if (importing) {
    if (connect(fd, (struct sockaddr *)&address, size) != 0)
      return fail(arguments[2]) != 0;
    return check_peer(fd) != 0 || take(fd);
  }
  /* The file gets the mode of the socket: nobody else may connect. */
  if (fchmod(fd, 0600) != 0 || bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 1) != 0)
    return fail(arguments[2]) != 0;
  int result = 1;
  if (wait_for(fd, "an importer") == 0) {
    int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    result = connection < 0 ? fail("accept") != 0 : check_peer(connection) != 0 || give(connection);
    close(connection);
  }
  if (address.sun_path[0] != 0)
    unlink(address.sun_path);
  return result;
}
