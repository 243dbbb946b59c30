/* Where the memory of the fake libgbm comes from: dumb buffers, and the private call of the persona `tiled`. */
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drm.h>

#include "fake.h"

/* lab/personas/kms/0009-tiled.patch, vkms_tiled.h */
struct persona_tiled_create {
	uint32_t width, height, handle, pitch;
	uint64_t size, modifier;
};
#define DRM_IOCTL_PERSONA_TILED_CREATE DRM_IOWR(DRM_COMMAND_BASE + 0x00, struct persona_tiled_create)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool is_driver(int file, const char *name)
{
	drmVersion *version = drmGetVersion(file);
	bool is = version && !strcmp(version->name, name);

	drmFreeVersion(version);
	return is;
}

/* Who opens a primary node first is its master, which nobody should be here. */
static int open_primary(const char *path)
{
	int file = open(path, O_RDWR | O_CLOEXEC);

	if (file >= 0 && drmIsMaster(file))
		drmDropMaster(file);
	return file;
}

static int open_driver(const char *name)
{
	for (int i = 0; i < 64; i++) {
		char path[32];
		int file;

		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		file = open_primary(path);
		if (file >= 0 && is_driver(file, name))
			return file;
		if (file >= 0)
			close(file);
	}
	return -1;
}

bool open_files(struct gbm_device *device)
{
	drmVersion *version = drmGetVersion(device->fd);

	device->primary = -1;
	device->gpu = -1;
	if (!version)
		return false;
	drmFreeVersion(version);
	device->primary = device->fd;
	if (drmGetNodeTypeFromFd(device->fd) != DRM_NODE_PRIMARY) {
		char *path = drmGetPrimaryDeviceNameFromFd(device->fd);

		device->primary = path ? open_primary(path) : -1;
		free(path);
		if (device->primary < 0)
			return false;
	}
	device->tiles = is_driver(device->primary, "persona-tiled");
	/* The GPU beside the display is vgem, which needs none itself. */
	if ((device->behaviour == KMSRO || device->behaviour == KMSRO_NUMBER) && !is_driver(device->fd, "vgem"))
		device->gpu = open_driver("vgem");
	return true;
}

void close_files(struct gbm_device *device)
{
	if (device->primary >= 0 && device->primary != device->fd)
		close(device->primary);
	if (device->gpu >= 0)
		close(device->gpu);
}

static void close_handle(int file, uint32_t handle)
{
	struct drm_gem_close argument = {.handle = handle};

	if (handle)
		drmIoctl(file, DRM_IOCTL_GEM_CLOSE, &argument);
}

static struct memory *add(struct gbm_device *device, int file, uint32_t handle)
{
	struct memory *memory = calloc(1, sizeof(*memory));

	if (!memory)
		return NULL;
	*memory = (struct memory){.next = device->memories, .users = 1, .file = file, .handle = handle, .dma_buf = -1};
	device->memories = memory;
	return memory;
}

static void drop(struct gbm_device *device, struct memory *memory)
{
	struct memory **link = &device->memories;

	if (--memory->users)
		return;
	while (*link != memory)
		link = &(*link)->next;
	*link = memory->next;
	if (memory->address)
		munmap(memory->address, memory->size);
	if (memory->dma_buf >= 0)
		close(memory->dma_buf);
	close_handle(device->primary, memory->namesake);
	if (memory->file != device->fd)
		close_handle(device->fd, memory->given);
	close_handle(memory->file, memory->handle);
	free(memory);
}

static uint32_t create_dumb(int file, struct drm_mode_create_dumb *argument)
{
	return drmIoctl(file, DRM_IOCTL_MODE_CREATE_DUMB, argument) ? 0 : argument->handle;
}

/*
 * The file that GBM was given knows the memory too, as where its own driver allocates. What is exported for that is exported first: on a
 * Raspberry Pi 4, v3d exports for reading alone, and vc4's handle is of that (renderonly_create_gpu_import_for_resource()).
 */
static bool known_to_given(struct gbm_device *device, struct memory *memory)
{
	int fd;

	if (memory->file == device->fd) {
		memory->given = memory->handle;
		return true;
	}
	if (memory->file != device->primary)
		return true;
	fd = export(memory, device->behaviour != READ_ONLY);
	if (fd < 0)
		return false;
	if (drmPrimeFDToHandle(device->fd, fd, &memory->given))
		memory->given = 0;
	close(fd);
	return memory->given;
}

static struct memory *finish(struct gbm_device *device, struct memory *memory)
{
	int reason;

	if (memory && known_to_given(device, memory))
		return memory;
	reason = errno;
	if (memory) {
		drop(device, memory);
	}
	errno = reason;
	return NULL;
}

struct memory *make_rows(struct gbm_device *device, int file, uint32_t width, uint32_t height, uint32_t bits)
{
	struct drm_mode_create_dumb argument = {.width = width, .height = height, .bpp = bits};
	struct memory *memory = NULL;

	pthread_mutex_lock(&lock);
	if (create_dumb(file, &argument))
		memory = add(device, file, argument.handle);
	if (memory) {
		memory->pitch = argument.pitch;
		memory->size = argument.size;
		/* A buffer of somebody else's, in the file of a display whose buffers come from elsewhere. */
		if (device->behaviour == KMSRO_NUMBER && file == device->gpu) {
			argument.handle = 0;
			memory->namesake = create_dumb(device->primary, &argument);
		}
	}
	memory = finish(device, memory);
	pthread_mutex_unlock(&lock);
	return memory;
}

struct memory *make_tiles(struct gbm_device *device, uint32_t width, uint32_t height)
{
	struct persona_tiled_create argument = {.width = width, .height = height};
	struct memory *memory = NULL;

	pthread_mutex_lock(&lock);
	if (!drmIoctl(device->primary, DRM_IOCTL_PERSONA_TILED_CREATE, &argument))
		memory = add(device, device->primary, argument.handle);
	if (memory) {
		memory->pitch = argument.pitch;
		memory->size = argument.size;
	}
	memory = finish(device, memory);
	pthread_mutex_unlock(&lock);
	return memory;
}

struct memory *import(struct gbm_device *device, int dma_buf)
{
	int file = device->gpu >= 0 ? device->gpu : device->fd;
	struct memory *memory;
	uint32_t handle;

	pthread_mutex_lock(&lock);
	if (drmPrimeFDToHandle(file, dma_buf, &handle)) {
		pthread_mutex_unlock(&lock);
		return NULL;
	}
	for (memory = device->memories; memory; memory = memory->next)
		if ((memory->file == file && memory->handle == handle) || (file == device->fd && memory->given == handle))
			break;
	if (memory) {
		memory->users++;
	} else {
		memory = add(device, file, handle);
		if (memory) {
			off_t size = lseek(dma_buf, 0, SEEK_END);

			memory->size = size < 0 ? 0 : size;
			memory->dma_buf = fcntl(dma_buf, F_DUPFD_CLOEXEC, 0);
			memory->given = file == device->fd ? handle : 0;
			/* src/gallium/auxiliary/renderonly/renderonly.c, renderonly_create_gpu_import_for_resource(): the display gets it too. */
			if (file != device->fd && drmPrimeFDToHandle(device->fd, dma_buf, &memory->given))
				memory->given = 0;
		}
	}
	pthread_mutex_unlock(&lock);
	return memory;
}

void let_go(struct gbm_device *device, struct memory *memory)
{
	pthread_mutex_lock(&lock);
	drop(device, memory);
	pthread_mutex_unlock(&lock);
}

int export(struct memory *memory, bool writable)
{
	int fd = -1;

	return drmPrimeHandleToFD(memory->file, memory->handle, DRM_CLOEXEC | (writable ? DRM_RDWR : 0), &fd) ? -1 : fd;
}

void *bytes(struct memory *memory)
{
	struct drm_mode_map_dumb argument = {.handle = memory->handle};
	void *address = MAP_FAILED;

	pthread_mutex_lock(&lock);
	if (!memory->address) {
		if (memory->dma_buf >= 0) {
			/* Who exported it for reading alone lets it be mapped so. */
			address = mmap(NULL, memory->size, PROT_READ | PROT_WRITE, MAP_SHARED, memory->dma_buf, 0);
			if (address == MAP_FAILED)
				address = mmap(NULL, memory->size, PROT_READ, MAP_SHARED, memory->dma_buf, 0);
		} else if (!drmIoctl(memory->file, DRM_IOCTL_MODE_MAP_DUMB, &argument)) {
			address = mmap(NULL, memory->size, PROT_READ | PROT_WRITE, MAP_SHARED, memory->file, argument.offset);
		}
		memory->address = address == MAP_FAILED ? NULL : address;
	}
	pthread_mutex_unlock(&lock);
	return memory->address;
}

bool bracket(struct memory *memory, bool begins, bool writes)
{
	struct dma_buf_sync argument = {
		.flags = (begins ? DMA_BUF_SYNC_START : DMA_BUF_SYNC_END) | (writes ? DMA_BUF_SYNC_WRITE : DMA_BUF_SYNC_READ),
	};

	/* A dumb mapping of one's own needs none. */
	return memory->dma_buf < 0 || !drmIoctl(memory->dma_buf, DMA_BUF_IOCTL_SYNC, &argument);
}
