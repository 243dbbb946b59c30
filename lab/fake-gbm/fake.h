/* A libgbm for tests, whose drivers behave as real ones of Mesa do. See README.md. */
#ifndef FAKE_H
#define FAKE_H

#include <gbm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every behaviour, a line each: its symbol and its name, which lab/prepare reads here. The rules are in gbm.c, above each. */
#define BEHAVIOURS(ENTRY) \
	ENTRY(MAPS, "maps") \
	ENTRY(COPIES, "copies") \
	ENTRY(READ_ONLY, "read-only") \
	ENTRY(KMSRO, "kmsro") \
	ENTRY(KMSRO_NUMBER, "kmsro-number") \
	ENTRY(MODIFIERS, "modifiers") \
	ENTRY(IMPLICIT, "implicit") \
	ENTRY(PLANES, "planes") \
	ENTRY(PLANES_APART, "planes-apart") \
	/* end */

enum behaviour {
#define SYMBOL(symbol, name) symbol,
	BEHAVIOURS(SYMBOL)
#undef SYMBOL
};

/* A piece of memory, as one DRM file knows it. Handles are not counted by the kernel, so they are here. */
struct memory {
	struct memory *next;
	unsigned int users;
	/* The file that made it or imported it, and its handle there. */
	int file;
	uint32_t handle;
	/* Its handle in the file that GBM was given; 0 where that knows nothing of it. */
	uint32_t given;
	/* Another buffer, in the file that GBM was given, whose number is `handle` as well. */
	uint32_t namesake;
	uint32_t pitch;
	uint64_t size;
	/* Of an import, -1 else. */
	int dma_buf;
	void *address;
};

struct gbm_device {
	/* Mesa's begins with a function that it is told by. Nothing that looks for one finds it here. */
	void *reserved;
	int fd;
	enum behaviour behaviour;
	/* The primary node that dumb buffers are made on: the file given where that is one, else one of our own. */
	int primary;
	/* Another device, which makes what no display shows (kmsro); -1 where there is none. */
	int gpu;
	/* Whether the kernel's driver makes tiled buffers. */
	bool tiles;
	struct memory *memories;
};

/* memory.c. Each answers NULL, or a negative number, with an errno. */
bool open_files(struct gbm_device *device);
void close_files(struct gbm_device *device);
struct memory *make_rows(struct gbm_device *device, int file, uint32_t width, uint32_t height, uint32_t bits);
struct memory *make_tiles(struct gbm_device *device, uint32_t width, uint32_t height);
struct memory *import(struct gbm_device *device, int dma_buf);
void let_go(struct gbm_device *device, struct memory *memory);
int export(struct memory *memory, bool writable);
/* Its bytes, until it goes. A bracket is the caller's. */
void *bytes(struct memory *memory);
bool bracket(struct memory *memory, bool begins, bool writes);

#endif
