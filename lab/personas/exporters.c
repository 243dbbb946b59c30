// SPDX-License-Identifier: GPL-2.0
/* Kinds whose rule is about the buffers that they export. */

#include <drm/drm_drv.h>
#include <drm/drm_gem.h>
#include <drm/drm_prime.h>
#include <linux/dma-mapping.h>
#include <linux/slab.h>

#include "persona.h"

/*
 * no-pages (R3: nvidia-drm with video memory)
 *
 * __nv_drm_gem_nvkms_memory_prime_get_sg_table(), nvidia-drm-gem-nvkms-memory.c of NVIDIA/open-gpu-kernel-modules: "Cannot create
 * sg_table for NvKmsKapiMemory" where pages_count is 0; the core makes -ENOMEM of it. Its export succeeds, and its mmap works
 * (__nv_drm_gem_nvkms_handle_vma_fault()). What comes of it: NVIDIA/open-gpu-kernel-modules#1037.
 */
static struct sg_table *no_sg_table(struct drm_gem_object *gem)
{
	return ERR_PTR(-ENOMEM);
}

static const struct drm_gem_object_funcs no_pages_funcs = {
	.free = persona_free,
	.export = persona_export,
	.get_sg_table = no_sg_table,
	.vmap = persona_vmap,
	.vunmap = persona_vunmap,
	.mmap = persona_mmap,
	.vm_ops = &persona_vm_ops,
};

const struct persona_kind persona_no_pages = {
	.funcs = &no_pages_funcs,
};

/*
 * attach-refuses (xe)
 *
 * xe_dma_buf_attach(), xe_dma_buf.c, 6.12: `if (!attach->peer2peer && !xe_bo_can_migrate(gem_to_xe_bo(obj), XE_PL_TT)) return
 * -EOPNOTSUPP;`: a buffer that has to stay in video memory, and a device that does not reach it there.
 */
static int refuse_attach(struct dma_buf *dma_buf, struct dma_buf_attachment *attach)
{
	return -EOPNOTSUPP;
}

static const struct dma_buf_ops attach_refuses_ops = {
	PERSONA_CACHED_MAPPING
	PERSONA_DMA_BUF_OPS,
	.attach = refuse_attach,
	.detach = NULL,
};

const struct persona_kind persona_attach_refuses = {
	.ops = &attach_refuses_ops,
};

/*
 * no-mmap (i915; qxl on 6.1)
 *
 * i915_gem_dmabuf_mmap(), i915_gem_dmabuf.c, 6.12: `if (!obj->base.filp) return -ENODEV;`: an object that is not in shmem cannot be
 * mapped through its dma-buf. The mapping through the device's node is another matter.
 */
static int no_mmap(struct dma_buf *dma_buf, struct vm_area_struct *vma)
{
	return -ENODEV;
}

static const struct dma_buf_ops no_mmap_ops = {
	PERSONA_CACHED_MAPPING
	PERSONA_DMA_BUF_OPS,
	.mmap = no_mmap,
};

const struct persona_kind persona_no_mmap = {
	.ops = &no_mmap_ops,
};

/*
 * no-dumb (R7: v3d, panfrost, panthor, lima, etnaviv, asahi)
 *
 * v3d_drm_driver, v3d_drv.c, 6.12: DRIVER_GEM and DRIVER_RENDER, and no dumb_create. drm_mode_create_dumb(), drm_dumb_buffers.c:
 * `if (!dev->driver->dumb_create) return -ENOSYS;`. Buffers come from a call of the driver's own, and so from its Mesa driver; this
 * one has no Mesa driver.
 */
const struct persona_kind persona_no_dumb = {
	.features = DRIVER_RENDER,
	.no_dumb = true,
};

/*
 * vram (R10: amdgpu, xe)
 *
 * A dynamic exporter whose buffers begin in video memory. amdgpu_dma_buf_begin_cpu_access(), amdgpu_dma_buf.c, 6.12: "If it's a read
 * access, the buffer is moved to the GTT domain if possible". amdgpu_dma_buf_pin(): "pin buffer into GTT", which an importer that is
 * not dynamic has done for it at its attach (6.12) or its first map (7.2). amdgpu_bo_list and the command submission put it back
 * into its preferred domain, when the device itself uses it and nobody has pinned it.
 */
static int to_system(struct persona_object *object)
{
	int ret = 0;

	if (object->elsewhere) {
		ret = persona_move(object, GFP_KERNEL);
		object->elsewhere = ret;
	}
	return ret;
}

static int vram_pin(struct dma_buf_attachment *attach)
{
	struct persona_object *object = to_object((struct drm_gem_object *)attach->dmabuf->priv);
	int ret;

	mutex_lock(&object->lock);
	ret = to_system(object);
	if (!ret)
		object->mapped++;
	mutex_unlock(&object->lock);
	return ret;
}

static void vram_unpin(struct dma_buf_attachment *attach)
{
	struct persona_object *object = to_object((struct drm_gem_object *)attach->dmabuf->priv);

	mutex_lock(&object->lock);
	object->mapped--;
	mutex_unlock(&object->lock);
}

static int vram_begin_cpu_access(struct dma_buf *dma_buf, enum dma_data_direction direction)
{
	struct persona_object *object = to_object((struct drm_gem_object *)dma_buf->priv);

	if (direction == DMA_TO_DEVICE)
		return 0;
	mutex_lock(&object->lock);
	/* As xe does: where it cannot be moved, it is read where it is. */
	(void)to_system(object);
	mutex_unlock(&object->lock);
	return 0;
}

static int vram_create(struct persona_object *object)
{
	object->elsewhere = true;
	return persona_memory(object);
}

static void vram_engine(struct persona_object *object)
{
	mutex_lock(&object->lock);
	if (!object->mapped && !object->elsewhere)
		object->elsewhere = !persona_move(object, GFP_KERNEL);
	mutex_unlock(&object->lock);
}

static const struct dma_buf_ops vram_ops = {
	PERSONA_DMA_BUF_OPS,
	.pin = vram_pin,
	.unpin = vram_unpin,
	.begin_cpu_access = vram_begin_cpu_access,
};

const struct persona_kind persona_vram = {
	.ops = &vram_ops,
	.create = vram_create,
	.engine = vram_engine,
};
