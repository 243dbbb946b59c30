/*
 * A stand-in for /dev/udmabuf, preloaded into QEMU on a machine without one, for `lab/run --outside`.
 *
 * QEMU has the pages of a blob resource, scattered over the guest's memory, made into one dma-buf, and maps that to read a picture. The
 * guest's memory is a memfd, so mapping each piece of it in its place gives the same view. It is the memory itself and no copy: what the
 * guest writes later is seen.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DESCRIPTORS 4096
/* What a descriptor that was given out stands for. The memfds in it are QEMU's, and live as long as the machine. */
static struct udmabuf_create_list *given[DESCRIPTORS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list more;

	REAL(open64);
	va_start(more, flags);
	if (flags & (O_CREAT | __O_TMPFILE))
		mode = va_arg(more, mode_t);
	va_end(more);
	/* Only the ioctls matter, so what is behind the descriptor does not. */
	return real(strcmp(path, "/dev/udmabuf") ? path : "/dev/null", flags, mode);
}

static int give(const struct udmabuf_create_list *list)
{
	size_t size = sizeof(*list) + list->count * sizeof(list->list[0]);
	struct udmabuf_create_list *copy = malloc(size);
	int fd = copy ? memfd_create("udmabuf", MFD_CLOEXEC) : -1;

	if (fd < 0 || fd >= DESCRIPTORS) {
		free(copy);
		errno = ENOMEM;
		return -1;
	}
	memcpy(copy, list, size);
	pthread_mutex_lock(&lock);
	given[fd] = copy;
	pthread_mutex_unlock(&lock);
	return fd;
}

int ioctl(int fd, unsigned long request, ...)
{
	void *argument;
	va_list more;

	REAL(ioctl);
	va_start(more, request);
	argument = va_arg(more, void *);
	va_end(more);
	/* QEMU asks for lists only, be it of one piece. */
	return request == UDMABUF_CREATE_LIST ? give(argument) : real(fd, request, argument);
}

void *mmap64(void *address, size_t size, int protection, int flags, int fd, off64_t offset)
{
	struct udmabuf_create_list *list = NULL;
	char *start, *end;

	REAL(mmap64);
	if (fd >= 0 && fd < DESCRIPTORS) {
		pthread_mutex_lock(&lock);
		list = given[fd];
		pthread_mutex_unlock(&lock);
	}
	if (!list)
		return real(address, size, protection, flags, fd, offset);
	/* QEMU maps all of it, from its beginning, and closes it after that. */
	start = real(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (start == MAP_FAILED)
		return start;
	end = start + size;
	for (size_t i = 0, at = 0; i < list->count && start + at < end; at += list->list[i++].size) {
		struct udmabuf_create_item *item = &list->list[i];
		size_t left = end - start - at;

		if (real(start + at, item->size < left ? item->size : left, protection, MAP_SHARED | MAP_FIXED, item->memfd, item->offset) == MAP_FAILED) {
			munmap(start, size);
			return MAP_FAILED;
		}
	}
	return start;
}

int close(int fd)
{
	REAL(close);
	if (fd >= 0 && fd < DESCRIPTORS) {
		pthread_mutex_lock(&lock);
		free(given[fd]);
		given[fd] = NULL;
		pthread_mutex_unlock(&lock);
	}
	return real(fd);
}

/* The same on 64 bits, under the names that a QEMU built without _FILE_OFFSET_BITS uses. */
int open(const char *path, int flags, ...) __attribute__((alias("open64")));
void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset) __attribute__((alias("mmap64")));
