/* SPDX-License-Identifier: GPL-2.0 */
#ifndef PERSONA_H
#define PERSONA_H

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_gem.h>
#include <drm/drm_prime.h>
#include <linux/dma-buf.h>
#include <linux/mutex.h>
#include <linux/version.h>
#include <linux/wait.h>

#include "persona_uapi.h"

/*
 * Every kind: its name in C and its name for users. The module's parameter, its modinfo (which lab/run reads) and the table of
 * kinds come from this list.
 */
#define PERSONAS(each) \
	each(ttm, "ttm") \
	each(mmap_redirect, "mmap-redirect") \
	each(lazy_import, "lazy-import") \
	each(own_pages, "own-pages") \
	each(contiguous, "contiguous") \
	each(small, "small") \
	each(no_pages, "no-pages") \
	each(attach_refuses, "attach-refuses") \
	each(no_mmap, "no-mmap") \
	each(no_dumb, "no-dumb") \
	each(vram, "vram") \
	each(noncoherent, "noncoherent") \
	each(zaps, "zaps") \
	each(reads_stale, "reads-stale") \
	each(late, "late") \
	each(strict, "strict") \
	each(interrupted, "interrupted") \
	each(migrates, "migrates") \
	each(no_kernel_map, "no-kernel-map")

/* The dma_buf_ops of the default persona, for kinds that change some of them. */
#define PERSONA_DMA_BUF_OPS \
	.attach = drm_gem_map_attach, \
	.detach = drm_gem_map_detach, \
	.map_dma_buf = drm_gem_map_dma_buf, \
	.unmap_dma_buf = drm_gem_unmap_dma_buf, \
	.release = persona_release, \
	.mmap = drm_gem_dmabuf_mmap, \
	.vmap = drm_gem_dmabuf_vmap, \
	.vunmap = drm_gem_dmabuf_vunmap

/* Until 6.15 the core kept an attachment's mapping for those that asked for it, as the PRIME helpers did. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 15, 0)
#define PERSONA_CACHED_MAPPING .cache_sgt_mapping = true,
#else
#define PERSONA_CACHED_MAPPING
#endif

struct persona;
struct persona_object;

/* What a kind does otherwise than the default persona, which follows the PRIME helpers of drm_prime.c in everything. */
struct persona_kind {
	u32 features;
	/* R7: no CREATE_DUMB. */
	bool no_dumb;
	/* Its own memory is one piece. */
	bool contiguous;
	/* Bytes that its own and imported objects may have together; 0 for no limit. */
	size_t aperture;
	int (*map_offset)(struct drm_file *file, struct drm_device *drm, u32 handle, u64 *offset);
	struct drm_gem_object *(*import)(struct drm_device *drm, struct dma_buf *dma_buf);
	/* Looks at what the generic import is about to take. */
	int (*accept)(struct dma_buf_attachment *attach, struct sg_table *sgt);
	/* After the generic import, with the mapping. */
	int (*imported)(struct persona_object *object);
	const struct drm_gem_object_funcs *funcs;
	/* For exports, instead of those of the PRIME helpers. */
	const struct dma_buf_ops *ops;
	/* At the creation of an object of its own, when it has no memory yet; the default gives it some. */
	int (*create)(struct persona_object *object);
	/* Before the engine of this device reads or writes an object of its own, and after it. */
	void (*engine)(struct persona_object *object);
};

struct persona {
	struct drm_device drm;
	const struct persona_kind *kind;
	struct mutex lock;
	struct list_head objects;
	size_t used;
};

struct persona_object {
	struct drm_gem_object base;
	struct list_head node;
	struct mutex lock;
	/* The memory, which devices see. None while an object has no memory yet, and for imports. */
	struct page **pages;
	bool one_piece;
	/* An import's mapping; none while it was not made. */
	struct sg_table *sgt;
	void *vaddr;
	unsigned int vmaps;
	/* The export, while there is one; for shooting mappings down. */
	struct dma_buf *dma_buf;
	/* What the processor sees, where that is another copy, and what that was when it last was the same as the memory. */
	struct page **cached, **clean;
	/* Which pages of it are mapped. */
	unsigned long *touched;
	/* Users, for kinds that count them, and the wait for the last to unmap. */
	unsigned int attached, mapped, moves, calls;
	wait_queue_head_t unmapped;
	/* The memory is not where it is when a device uses it: in video memory; below 4 GiB. */
	bool elsewhere;
	bool writes_only;
};

#define to_persona(device) container_of(device, struct persona, drm)
#define to_object(gem) container_of(gem, struct persona_object, base)

#define DECLARE(symbol, name) extern const struct persona_kind persona_##symbol;
PERSONAS(DECLARE)
#undef DECLARE

static inline const struct persona_kind *kind_of(const struct drm_gem_object *gem)
{
	return to_persona(gem->dev)->kind;
}

static inline bool is_import(const struct drm_gem_object *gem)
{
	return gem->import_attach;
}

/* object.c */
extern const struct drm_gem_object_funcs persona_funcs;
extern const struct vm_operations_struct persona_vm_ops;
int persona_dumb_create(struct drm_file *file, struct drm_device *drm, struct drm_mode_create_dumb *args);
struct drm_gem_object *persona_own(struct drm_device *drm, struct dma_buf *dma_buf);
struct drm_gem_object *persona_import(struct drm_device *drm, struct dma_buf *dma_buf);
struct drm_gem_object *persona_import_sg_table(struct drm_device *drm, struct dma_buf_attachment *attach, struct sg_table *sgt);
struct persona_object *persona_object_new(struct drm_device *drm, size_t size);
struct page **persona_pages(size_t size, bool one_piece, gfp_t gfp);
void persona_pages_free(struct page **pages, size_t size, bool one_piece);
int persona_memory(struct persona_object *object);
void persona_zap(struct persona_object *object);
int persona_move(struct persona_object *object, gfp_t gfp);
void persona_free(struct drm_gem_object *gem);
struct sg_table *persona_get_sg_table(struct drm_gem_object *gem);
int persona_vmap(struct drm_gem_object *gem, struct iosys_map *map);
void persona_vunmap(struct drm_gem_object *gem, struct iosys_map *map);
int persona_mmap(struct drm_gem_object *gem, struct vm_area_struct *vma);
int persona_map_offset(struct drm_file *file, struct drm_device *drm, u32 handle, u64 *offset);
struct dma_buf *persona_export(struct drm_gem_object *gem, int flags);
void persona_release(struct dma_buf *dma_buf);
int persona_engine_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif
