/* libgbm's functions, over the memory of memory.c. What a behaviour imitates is named with Mesa's file and function; README.md lists them. */
#include <drm_fourcc.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define ROUND_UP(number, unit) (((number) + (unit) - 1) / (unit) * (unit))
#define DIV_ROUND_UP(number, unit) (((number) + (unit) - 1) / (unit))
#define API __attribute__((visibility("default")))

/* Tile status with 4 bits for each 64 bytes, beside tiles of 4x4; drm_fourcc.h of Linux 6.12 has it, libdrm 2.4.114 not. */
#define VIVANTE_TILED_TS (DRM_FORMAT_MOD_VIVANTE_TILED | 1ULL << 48)

enum layout { ROWS, TILES_4X4, TILES_Y };

struct plane {
	struct memory *memory;
	uint32_t offset, pitch;
};

struct gbm_bo {
	struct gbm_device *device;
	uint32_t width, height, format;
	/* Bytes of a pixel of the first plane. */
	uint32_t size;
	enum layout layout;
	/* What is said of it, which need not be what it is. */
	uint64_t modifier;
	struct plane planes[GBM_MAX_PLANES];
	unsigned int plane_count;
	/* Made with CREATE_DUMB on the caller's file. */
	bool is_dumb;
	void *user_data;
	void (*destroy_user_data)(struct gbm_bo *, void *);
};

struct map {
	/* A copy; NULL where the buffer's own memory was given. */
	uint8_t *staging;
	uint32_t x, y, width, height, pitch;
	bool is_written;
};

static const struct {
	uint32_t fourcc, size, planes;
} formats[] = {
	{GBM_FORMAT_XRGB8888, 4, 1}, {GBM_FORMAT_ARGB8888, 4, 1}, {GBM_FORMAT_XBGR8888, 4, 1}, {GBM_FORMAT_ABGR8888, 4, 1},
	{GBM_FORMAT_XRGB2101010, 4, 1}, {GBM_FORMAT_ARGB2101010, 4, 1}, {GBM_FORMAT_RGB565, 2, 1}, {GBM_FORMAT_R8, 1, 1},
	{GBM_FORMAT_NV12, 1, 2},
};

/* What each behaviour allocates and imports, the best first. `ANY` is for each behaviour without a line of its own. */
#define ANY (-1)
static const struct {
	int behaviour;
	uint64_t modifier;
	enum layout layout;
	/* Of a format with one. */
	unsigned int planes;
} modifiers[] = {
	/* src/gallium/drivers/etnaviv/etnaviv_resource.c, select_best_modifier(): tiles before rows, whatever the order of the list. */
	{MODIFIERS, DRM_FORMAT_MOD_VIVANTE_TILED, TILES_4X4, 1},
	{MODIFIERS, DRM_FORMAT_MOD_LINEAR, ROWS, 1},
	/*
	 * src/gallium/drivers/iris/iris_resource.c, iris_resource_get_param(): with a modifier for compression there is a plane more than the
	 * format has, at an offset of the same buffer, and it holds no pixels.
	 */
	{PLANES, I915_FORMAT_MOD_Y_TILED_CCS, TILES_Y, 2},
	{PLANES, I915_FORMAT_MOD_Y_TILED, TILES_Y, 1},
	{PLANES, DRM_FORMAT_MOD_LINEAR, ROWS, 1},
	/*
	 * etnaviv_resource.c, etna_resource_get_param() and etna_resource_get_handle(): with a modifier for tile status there are two planes, and
	 * the second is of a buffer of its own (ts_bo), with a handle and a dma-buf of its own.
	 */
	{PLANES_APART, VIVANTE_TILED_TS, TILES_4X4, 2},
	{PLANES_APART, DRM_FORMAT_MOD_VIVANTE_TILED, TILES_4X4, 1},
	{PLANES_APART, DRM_FORMAT_MOD_LINEAR, ROWS, 1},
	/* src/gallium/drivers/v3d/v3d_resource.c, v3d_resource_modifier(): what is not tiled says LINEAR, also where nobody asked. */
	{ANY, DRM_FORMAT_MOD_LINEAR, ROWS, 1},
};

/* Its number in `modifiers`, or -1. */
static int find(const struct gbm_device *device, uint64_t modifier)
{
	/*
	 * src/gallium/drivers/radeonsi/si_texture.c, si_init_screen_texture_functions(): without modifiers of the kernel, or before GFX9,
	 * none is allocated and none listed.
	 */
	if (device->behaviour == IMPLICIT)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(modifiers); i++) {
		bool own = modifiers[i].behaviour == (int)device->behaviour || modifiers[i].behaviour == ANY;

		if (own && modifiers[i].modifier == modifier)
			return i;
	}
	return -1;
}

static uint32_t canonical(uint32_t format)
{
	return format == GBM_BO_FORMAT_XRGB8888 ? GBM_FORMAT_XRGB8888 : format == GBM_BO_FORMAT_ARGB8888 ? GBM_FORMAT_ARGB8888 : format;
}

/* Its number in `formats`, or -1. Mesa's libgbm allocates no NV12, minigbm's does. */
static int find_format(const struct gbm_device *device, uint32_t format)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i].fourcc == canonical(format) && (formats[i].planes == 1 || device->behaviour == PLANES || device->behaviour == PLANES_APART))
			return i;
	return -1;
}

static unsigned int plane_count(int format, uint64_t modifier, int known)
{
	return modifier == DRM_FORMAT_MOD_LINEAR || known < 0 ? formats[format].planes : modifiers[known].planes;
}

/* Devices. */

API struct gbm_device *gbm_create_device(int fd)
{
	static const char *const names[] = {
#define NAME(symbol, name) [symbol] = name,
		BEHAVIOURS(NAME)
#undef NAME
	};
	const char *wanted = getenv("PRIME_GBM");
	struct gbm_device *device = calloc(1, sizeof(*device));

	if (!device)
		return NULL;
	device->fd = fd;
	errno = 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		device->behaviour = i;
		if (wanted && !strcmp(names[i], wanted) && open_files(device))
			return device;
	}
	if (errno == 0)
		errno = EINVAL;
	fprintf(stderr, "fake-gbm: no device with PRIME_GBM=%s: %m\n", wanted ? wanted : "");
	free(device);
	return NULL;
}

API void gbm_device_destroy(struct gbm_device *device)
{
	close_files(device);
	free(device);
}

API int gbm_device_get_fd(struct gbm_device *device) { return device->fd; }

API const char *gbm_device_get_backend_name(struct gbm_device *device)
{
	(void)device;
	return "drm";
}

API int gbm_device_is_format_supported(struct gbm_device *device, uint32_t format, uint32_t usage)
{
	(void)usage;
	return find_format(device, format) >= 0;
}

/* src/gbm/backends/dri/gbm_dri.c, gbm_dri_get_format_modifier_plane_count(): -1 for what the driver does not know. */
API int gbm_device_get_format_modifier_plane_count(struct gbm_device *device, uint32_t format, uint64_t modifier)
{
	int known = find(device, modifier), number = find_format(device, format);

	if (known < 0 || number < 0 || (modifier != DRM_FORMAT_MOD_LINEAR && formats[number].size != 4))
		return -1;
	return plane_count(number, modifier, known);
}

/* Buffer objects. */

API void gbm_bo_destroy(struct gbm_bo *bo)
{
	if (bo->destroy_user_data)
		bo->destroy_user_data(bo, bo->user_data);
	for (unsigned int i = 0; i < GBM_MAX_PLANES; i++)
		if (bo->planes[i].memory)
			let_go(bo->device, bo->planes[i].memory);
	free(bo);
}

static struct gbm_bo *new(struct gbm_device *device, uint32_t width, uint32_t height, int format)
{
	struct gbm_bo *bo = calloc(1, sizeof(*bo));

	if (bo) {
		bo->device = device;
		bo->width = width;
		bo->height = height;
		bo->format = formats[format].fourcc;
		bo->size = formats[format].size;
	}
	return bo;
}

/* The buffer object where it has memory, with what is known of that; else NULL. */
static struct gbm_bo *with(struct gbm_bo *bo, struct memory *memory)
{
	int reason = errno;

	if (memory) {
		bo->planes[bo->plane_count++] = (struct plane){.memory = memory, .pitch = memory->pitch};
		return bo;
	}
	gbm_bo_destroy(bo);
	errno = reason;
	return NULL;
}

/*
 * The second plane of NV12. Where planes lie in one buffer: minigbm, helpers.c, drv_bo_from_format(), the second behind the first. Where
 * they are apart: minigbm, exynos.c, exynos_bo_create(): a GEM object for each, rows of 16, 32 lines and half of them.
 */
static struct gbm_bo *create_nv12(struct gbm_bo *bo)
{
	struct gbm_device *device = bo->device;
	uint32_t width = ROUND_UP(bo->width, 16), height = ROUND_UP(bo->height, 32);

	if (device->behaviour == PLANES_APART) {
		bo = with(bo, make_rows(device, device->primary, width, height, 8));
		return bo ? with(bo, make_rows(device, device->primary, width, ROUND_UP(height / 2, 32), 8)) : NULL;
	}
	bo = with(bo, make_rows(device, device->primary, ROUND_UP(bo->width, 2), bo->height + DIV_ROUND_UP(bo->height, 2), 8));
	if (!bo)
		return NULL;
	bo->planes[1] = bo->planes[0];
	bo->planes[1].memory->users++;
	bo->planes[1].offset = bo->planes[0].pitch * bo->height;
	bo->plane_count = 2;
	return bo;
}

/* Y tiles are 128 bytes wide and 32 rows high; a tile of the control surface, as large, is for 1024x512 pixels (drm_fourcc.h). */
static struct gbm_bo *create_y(struct gbm_bo *bo, bool with_control)
{
	uint32_t pitch = ROUND_UP(bo->width * 4, 128), rows = ROUND_UP(bo->height, 32);
	uint32_t control_pitch = DIV_ROUND_UP(bo->width, 1024) * 128, control_rows = DIV_ROUND_UP(bo->height, 512) * 32;
	uint32_t more = with_control ? DIV_ROUND_UP(control_pitch * control_rows, pitch) : 0;

	bo = with(bo, make_rows(bo->device, bo->device->primary, pitch / 4, rows + more, 32));
	if (!bo)
		return NULL;
	bo->planes[0].pitch = pitch;
	if (with_control) {
		/* All zero, as new memory is: no part of the picture is compressed. */
		bo->planes[1] = (struct plane){.memory = bo->planes[0].memory, .offset = pitch * rows, .pitch = control_pitch};
		bo->planes[1].memory->users++;
		bo->plane_count = 2;
	}
	return bo;
}

static struct gbm_bo *create_4x4(struct gbm_bo *bo, bool with_status)
{
	struct gbm_device *device = bo->device;
	uint32_t width = ROUND_UP(bo->width, 4), height = ROUND_UP(bo->height, 4), status;

	bo = with(bo, device->tiles ? make_tiles(device, width, height) : make_rows(device, device->primary, width, height, 32));
	if (!bo || !with_status)
		return bo;
	/* 64 bytes about it, and 4 bits for each 64 bytes of the picture: all zero, which is neither cleared nor compressed. */
	status = 64 + bo->planes[0].pitch * height / 128;
	bo = with(bo, make_rows(device, device->primary, ROUND_UP(status, 4096), 1, 8));
	if (bo)
		bo->planes[1].pitch = DIV_ROUND_UP(bo->planes[0].pitch, 128);
	return bo;
}

/* src/gbm/backends/dri/gbm_dri.c, create_dumb(): GBM_BO_USE_WRITE is a dumb buffer of the file given, for a cursor or a screen. */
static struct gbm_bo *create_dumb(struct gbm_bo *bo, uint32_t flags)
{
	bool is_cursor = flags & GBM_BO_USE_CURSOR && bo->format == GBM_FORMAT_ARGB8888;
	bool is_screen = flags & GBM_BO_USE_SCANOUT && bo->format == GBM_FORMAT_XRGB8888;

	if (!is_cursor && !is_screen) {
		gbm_bo_destroy(bo);
		errno = EINVAL;
		return NULL;
	}
	bo->is_dumb = true;
	return with(bo, make_rows(bo->device, bo->device->fd, bo->width, bo->height, 32));
}

/* What a driver takes where nobody lists modifiers: a number in `modifiers`, or -1 for rows. Only rows of 32 bits are tiled here. */
static int implied(const struct gbm_device *device, uint32_t size, uint32_t flags)
{
	switch (device->behaviour) {
	case MODIFIERS:
	case PLANES_APART:
		/* etnaviv_resource.c, etna_resource_create(): for a display, or linear, rows; else tiles. */
		return size == 4 && !(flags & (GBM_BO_USE_LINEAR | GBM_BO_USE_SCANOUT)) ? find(device, DRM_FORMAT_MOD_VIVANTE_TILED) : -1;
	case PLANES:
		/* iris_resource.c, iris_resource_get_param(): tiles that nobody asked for are reported all the same. */
		return size == 4 && !(flags & GBM_BO_USE_LINEAR) ? find(device, I915_FORMAT_MOD_Y_TILED) : -1;
	default:
		return -1;
	}
}

static struct gbm_bo *create(
	struct gbm_device *device, uint32_t width, uint32_t height, uint32_t format, const uint64_t *list, unsigned int count, uint32_t flags)
{
	int number = find_format(device, format), best = -1;
	struct gbm_bo *bo;

	if (number < 0 || !width || !height) {
		errno = EINVAL;
		return NULL;
	}
	if (list && device->behaviour == IMPLICIT) {
		/* gbm_dri.c, gbm_dri_bo_create(): a driver that knows no modifiers. */
		errno = ENOSYS;
		return NULL;
	}
	for (unsigned int i = 0; list && i < count; i++) {
		int known = find(device, list[i]);

		if (known >= 0 && (best < 0 || known < best) && (list[i] == DRM_FORMAT_MOD_LINEAR || formats[number].size == 4))
			best = known;
	}
	/* Mesa says no errno where the driver takes none of a list. */
	if (list && best < 0)
		return NULL;
	bo = new(device, width, height, number);
	if (!bo)
		return NULL;
	if (flags & GBM_BO_USE_WRITE && !list)
		return create_dumb(bo, flags);
	if (!list)
		best = implied(device, bo->size, flags);
	bo->modifier = best < 0 ? DRM_FORMAT_MOD_LINEAR : modifiers[best].modifier;
	bo->layout = best < 0 ? ROWS : modifiers[best].layout;
	if (device->behaviour == IMPLICIT) {
		/*
		 * si_texture.c, si_texture_get_handle(): before GFX9 a texture has no modifier, tiled or not, and the tiles are known to the driver
		 * alone, from metadata of the kernel's. The tiles here are not AMD's.
		 */
		bo->modifier = DRM_FORMAT_MOD_INVALID;
		if (bo->size == 4 && !(flags & GBM_BO_USE_LINEAR))
			bo->layout = TILES_4X4;
	}
	if (bo->format == GBM_FORMAT_NV12)
		return create_nv12(bo);
	if (bo->layout == TILES_Y)
		return create_y(bo, modifiers[best].planes == 2);
	if (bo->layout == TILES_4X4)
		return create_4x4(bo, best >= 0 && modifiers[best].planes == 2);
	/* kmsro: etnaviv_resource.c, etna_resource_alloc(): only what is for a display is made by the display. */
	return with(bo, make_rows(device, device->gpu >= 0 && !(flags & GBM_BO_USE_SCANOUT) ? device->gpu : device->primary, width, height, bo->size * 8));
}

API struct gbm_bo *gbm_bo_create(struct gbm_device *device, uint32_t width, uint32_t height, uint32_t format, uint32_t flags)
{
	return create(device, width, height, format, NULL, 0, flags);
}

API struct gbm_bo *gbm_bo_create_with_modifiers2(
	struct gbm_device *device, uint32_t width, uint32_t height, uint32_t format, const uint64_t *list, const unsigned int count, uint32_t flags)
{
	/* src/gbm/main/gbm.c: an empty list, or one without its number, is none. */
	if (!list != !count) {
		errno = EINVAL;
		return NULL;
	}
	return create(device, width, height, format, list, count, flags);
}

API struct gbm_bo *gbm_bo_create_with_modifiers(
	struct gbm_device *device, uint32_t width, uint32_t height, uint32_t format, const uint64_t *list, const unsigned int count)
{
	return gbm_bo_create_with_modifiers2(device, width, height, format, list, count, list ? GBM_BO_USE_SCANOUT : 0);
}

/* Whether the first plane ends in its memory. */
static bool fits(const struct gbm_bo *bo)
{
	const struct plane *plane = &bo->planes[0];
	uint64_t rows = bo->layout == TILES_Y ? ROUND_UP(bo->height, 32) : bo->layout == TILES_4X4 ? ROUND_UP(bo->height, 4) : bo->height;

	return plane->pitch >= bo->width * bo->size && plane->offset + (rows - 1) * plane->pitch + bo->width * bo->size <= plane->memory->size;
}

/* gbm_dri.c, gbm_dri_bo_import(), Mesa 22.3: whatever the kernel refused for, EINVAL without a modifier and ENOSYS with one. */
API struct gbm_bo *gbm_bo_import(struct gbm_device *device, uint32_t type, void *buffer, uint32_t flags)
{
	struct gbm_import_fd_modifier_data data = {.num_fds = 1, .modifier = DRM_FORMAT_MOD_INVALID};
	int number, known;
	struct gbm_bo *bo;

	(void)flags;
	if (type == GBM_BO_IMPORT_FD_MODIFIER) {
		data = *(struct gbm_import_fd_modifier_data *)buffer;
	} else if (type == GBM_BO_IMPORT_FD) {
		struct gbm_import_fd_data *one = buffer;

		data.width = one->width;
		data.height = one->height;
		data.format = one->format;
		data.fds[0] = one->fd;
		data.strides[0] = one->stride;
	} else {
		errno = ENOSYS;
		return NULL;
	}
	number = find_format(device, data.format);
	known = find(device, data.modifier);
	if (number < 0 || !data.width || !data.height || (known < 0 && data.modifier != DRM_FORMAT_MOD_INVALID) ||
	    (type == GBM_BO_IMPORT_FD_MODIFIER && data.num_fds != plane_count(number, data.modifier, known)))
		goto refused;
	bo = new(device, data.width, data.height, number);
	if (!bo)
		return NULL;
	bo->layout = known < 0 ? ROWS : modifiers[known].layout;
	/* etnaviv_resource.c, etna_resource_from_handle(): what comes without a modifier is in rows; radeonsi's remains without. */
	bo->modifier = known < 0 && device->behaviour != IMPLICIT ? DRM_FORMAT_MOD_LINEAR : data.modifier;
	for (unsigned int i = 0; i < data.num_fds; i++) {
		bo = with(bo, import(device, data.fds[i]));
		if (!bo)
			goto refused;
		bo->planes[i].offset = data.offsets[i];
		bo->planes[i].pitch = data.strides[i];
	}
	if (fits(bo))
		return bo;
	gbm_bo_destroy(bo);
refused:
	errno = type == GBM_BO_IMPORT_FD ? EINVAL : ENOSYS;
	return NULL;
}

/* What is known of a buffer object. */

API uint32_t gbm_bo_get_width(struct gbm_bo *bo) { return bo->width; }
API uint32_t gbm_bo_get_height(struct gbm_bo *bo) { return bo->height; }
API uint32_t gbm_bo_get_stride(struct gbm_bo *bo) { return bo->planes[0].pitch; }
API uint32_t gbm_bo_get_format(struct gbm_bo *bo) { return bo->format; }
API struct gbm_device *gbm_bo_get_device(struct gbm_bo *bo) { return bo->device; }
API int gbm_bo_get_plane_count(struct gbm_bo *bo) { return bo->plane_count; }
/* gbm_dri.c, gbm_dri_bo_get_modifier(): of a dumb buffer, LINEAR. */
API uint64_t gbm_bo_get_modifier(struct gbm_bo *bo) { return bo->modifier; }
/* src/gbm/main/gbm.c, gbm_bo_get_bpp(): 0 for formats with several planes. */
API uint32_t gbm_bo_get_bpp(struct gbm_bo *bo) { return bo->format == GBM_FORMAT_NV12 ? 0 : bo->size * 8; }

static struct plane *plane_of(struct gbm_bo *bo, int plane)
{
	if (plane >= 0 && plane < (int)bo->plane_count)
		return &bo->planes[plane];
	errno = EINVAL;
	return NULL;
}

API uint32_t gbm_bo_get_stride_for_plane(struct gbm_bo *bo, int plane) { return plane_of(bo, plane) ? bo->planes[plane].pitch : 0; }
API uint32_t gbm_bo_get_offset(struct gbm_bo *bo, int plane) { return plane_of(bo, plane) ? bo->planes[plane].offset : 0; }

API union gbm_bo_handle gbm_bo_get_handle_for_plane(struct gbm_bo *bo, int plane)
{
	/* gbm_dri.c, gbm_dri_bo_get_handle_for_plane(): -1 where the driver gives none. */
	union gbm_bo_handle handle = {.s32 = -1};
	struct plane *of = plane_of(bo, plane);

	if (!of)
		return handle;
	/*
	 * kmsro: the display's handle, where the display has one. Else src/gallium/drivers/v3d/v3d_resource.c, v3d_resource_get_handle(): none; but
	 * in Mesa 19, src/gallium/drivers/lima/lima_resource.c, lima_resource_get_handle(): that of the GPU's file, which is not the caller's.
	 */
	if (of->memory->given)
		handle.u32 = of->memory->given;
	else if (bo->device->behaviour == KMSRO_NUMBER)
		handle.u32 = of->memory->handle;
	return handle;
}

API union gbm_bo_handle gbm_bo_get_handle(struct gbm_bo *bo) { return gbm_bo_get_handle_for_plane(bo, 0); }

API int gbm_bo_get_fd_for_plane(struct gbm_bo *bo, int plane)
{
	struct plane *of = plane_of(bo, plane);

	/* gbm_dri.c, gbm_dri_bo_get_plane_fd(), Mesa 22.3: none of a dumb buffer. */
	if (of && bo->is_dumb)
		errno = EINVAL;
	if (!of || bo->is_dumb)
		return -1;
	/*
	 * src/gallium/drivers/v3d/v3d_bufmgr.c, v3d_bo_get_dmabuf(), also lima_bo_export() and etna_bo_dmabuf(): without DRM_RDWR. Others have it:
	 * src/panfrost/lib/kmod/pan_kmod.c, pan_kmod_bo_export().
	 */
	return export(of->memory, bo->device->behaviour != READ_ONLY);
}

API int gbm_bo_get_fd(struct gbm_bo *bo) { return gbm_bo_get_fd_for_plane(bo, 0); }

API void gbm_bo_set_user_data(struct gbm_bo *bo, void *data, void (*destroy)(struct gbm_bo *, void *))
{
	bo->user_data = data;
	bo->destroy_user_data = destroy;
}

API void *gbm_bo_get_user_data(struct gbm_bo *bo) { return bo->user_data; }

/* Content. */

/* Where a pixel of the first plane is, and how many behind it follow it in memory. */
static size_t pixel_at(const struct gbm_bo *bo, uint32_t x, uint32_t y, uint32_t *run)
{
	size_t pitch = bo->planes[0].pitch, offset = bo->planes[0].offset;

	switch (bo->layout) {
	case TILES_4X4:
		/* As the persona `tiled` reads it: rows of tiles one after the other, of 64 bytes each. */
		*run = 4 - x % 4;
		return offset + y / 4 * pitch * 4 + x / 4 * 64 + y % 4 * 16 + x % 4 * 4;
	case TILES_Y:
		/* Tiles of 4096 bytes, each of eight columns of 16 bytes and 32 rows. */
		*run = 4 - x % 4;
		return offset + (y / 32 * (pitch / 128) + x / 32) * 4096 + x % 32 / 4 * 512 + y % 32 * 16 + x % 4 * 4;
	default:
		*run = UINT32_MAX;
		return offset + y * pitch + (size_t)x * bo->size;
	}
}

static void copy(const struct gbm_bo *bo, uint8_t *memory, const struct map *map, bool into_buffer)
{
	for (uint32_t y = 0; y < map->height; y++)
		for (uint32_t x = 0, run; x < map->width; x += run) {
			uint8_t *there = memory + pixel_at(bo, map->x + x, map->y + y, &run);
			uint8_t *here = map->staging + (size_t)y * map->pitch + (size_t)x * bo->size;

			run = run < map->width - x ? run : map->width - x;
			memcpy(into_buffer ? there : here, into_buffer ? here : there, (size_t)run * bo->size);
		}
}

/*
 * Rows are mapped as they are: src/gallium/drivers/v3d/v3d_resource.c, v3d_resource_transfer_map(). Tiles are not, and a copy in rows is
 * given, written back when it is unmapped: there, and etnaviv_transfer.c, etna_texture_map() and etna_texture_unmap(). `copies` does
 * so with rows too: si_texture.c, si_texture_transfer_map(), where they lie in video memory. Without GBM_BO_TRANSFER_READ nothing is copied, and
 * what the copy holds is nobody's.
 */
API void *gbm_bo_map(
	struct gbm_bo *bo, uint32_t x, uint32_t y, uint32_t width, uint32_t height, uint32_t flags, uint32_t *stride, void **map_data)
{
	struct memory *memory = bo->planes[0].memory;
	bool copies = !bo->is_dumb && (bo->layout != ROWS || bo->device->behaviour == COPIES);
	uint32_t run;
	struct map *map;

	if (!width || !height || x + width > bo->width || y + height > bo->height) {
		errno = EINVAL;
		return NULL;
	}
	if (!bytes(memory))
		return NULL;
	map = calloc(1, sizeof(*map));
	if (!map)
		return NULL;
	*map = (struct map){.x = x, .y = y, .width = width, .height = height, .pitch = bo->planes[0].pitch, .is_written = flags & GBM_BO_TRANSFER_WRITE};
	*map_data = map;
	*stride = map->pitch;
	if (!copies)
		return (uint8_t *)memory->address + pixel_at(bo, x, y, &run);
	/* Its pitch is that of another texture: si_texture.c, of one with rows of 256 bytes. */
	map->pitch = bo->layout == ROWS || bo->device->behaviour == IMPLICIT ? ROUND_UP(width * bo->size, 256) : width * bo->size;
	*stride = map->pitch;
	map->staging = malloc((size_t)map->pitch * height);
	if (!map->staging || !bracket(memory, true, false)) {
		free(map->staging);
		free(map);
		return NULL;
	}
	memset(map->staging, 0xa5, (size_t)map->pitch * height);
	if (flags & GBM_BO_TRANSFER_READ)
		copy(bo, memory->address, map, false);
	bracket(memory, false, false);
	return map->staging;
}

API void gbm_bo_unmap(struct gbm_bo *bo, void *map_data)
{
	struct memory *memory = bo->planes[0].memory;
	struct map *map = map_data;

	if (map->staging && map->is_written && bracket(memory, true, true)) {
		copy(bo, memory->address, map, true);
		bracket(memory, false, true);
	}
	free(map->staging);
	free(map);
}

/* gbm_dri.c, gbm_dri_bo_write(): into dumb buffers alone. */
API int gbm_bo_write(struct gbm_bo *bo, const void *content, size_t count)
{
	if (!bo->is_dumb || count > bo->planes[0].memory->size || !bytes(bo->planes[0].memory)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(bo->planes[0].memory->address, content, count);
	return 0;
}

/* The rest of the interface: surfaces, which EGL alone can fill, and names. */

static struct gbm_surface *no_surface(void)
{
	errno = ENOSYS;
	return NULL;
}

API struct gbm_surface *gbm_surface_create(struct gbm_device *device, uint32_t width, uint32_t height, uint32_t format, uint32_t flags)
{
	(void)device, (void)width, (void)height, (void)format, (void)flags;
	return no_surface();
}

API struct gbm_surface *gbm_surface_create_with_modifiers(
	struct gbm_device *device, uint32_t width, uint32_t height, uint32_t format, const uint64_t *list, const unsigned int count)
{
	(void)device, (void)width, (void)height, (void)format, (void)list, (void)count;
	return no_surface();
}

API struct gbm_surface *gbm_surface_create_with_modifiers2(
	struct gbm_device *device, uint32_t width, uint32_t height, uint32_t format, const uint64_t *list, const unsigned int count, uint32_t flags)
{
	(void)device, (void)width, (void)height, (void)format, (void)list, (void)count, (void)flags;
	return no_surface();
}

API struct gbm_bo *gbm_surface_lock_front_buffer(struct gbm_surface *surface)
{
	(void)surface;
	errno = ENOSYS;
	return NULL;
}

API void gbm_surface_release_buffer(struct gbm_surface *surface, struct gbm_bo *bo) { (void)surface, (void)bo; }
API int gbm_surface_has_free_buffers(struct gbm_surface *surface) { (void)surface; return 0; }
API void gbm_surface_destroy(struct gbm_surface *surface) { (void)surface; }

API char *gbm_format_get_name(uint32_t format, struct gbm_format_name_desc *name)
{
	format = canonical(format);
	memcpy(name->name, &format, 4);
	name->name[4] = 0;
	return name->name;
}
