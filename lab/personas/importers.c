// SPDX-License-Identifier: GPL-2.0
/* Kinds whose rule is about what they do with buffers of others. */

#include <drm/drm_gem.h>
#include <drm/drm_prime.h>
#include <drm/drm_vma_manager.h>
#include <linux/mm.h>

#include "persona.h"

/*
 * ttm (R1: amdgpu, xe, nouveau, radeon, qxl, hibmc, loongson)
 *
 * drm_gem_ttm_dumb_map_offset(), drm_gem_ttm_helper.c, 6.12, looks the handle up and gives its offset, imported or not;
 * amdgpu_mode_dumb_mmap(), amdgpu_gem.c, does as well. ttm_bo_vm_reserve(), ttm_bo_vm.c, 6.12: "Refuse to fault imported pages.
 * This should be handled (if at all) by redirecting mmap to the exporter": VM_FAULT_SIGBUS.
 */
static int any_map_offset(struct drm_file *file, struct drm_device *drm, u32 handle, u64 *offset)
{
	struct drm_gem_object *gem = drm_gem_object_lookup(file, handle);

	if (!gem)
		return -ENOENT;
	*offset = drm_vma_node_offset_addr(&gem->vma_node);
	drm_gem_object_put(gem);
	return 0;
}

/* The default fault finds no memory in an import, and that is a SIGBUS. */
const struct persona_kind persona_ttm = {
	.map_offset = any_map_offset,
};

/*
 * lazy-import (R2: i915 on 6.12 from every exporter that is not dynamic, amdgpu and xe from dynamic ones)
 *
 * i915_gem_prime_import(), i915_gem_dmabuf.c, 6.12: "need to attach", and then an object without a mapping. The mapping is made
 * by i915_gem_object_get_pages_dmabuf(), at first use.
 */
static struct drm_gem_object *lazy_import(struct drm_device *drm, struct dma_buf *dma_buf)
{
	struct dma_buf_attachment *attach;
	struct persona_object *object;
	struct drm_gem_object *own = persona_own(drm, dma_buf);

	if (own)
		return own;
	attach = dma_buf_attach(dma_buf, drm->dev);
	if (IS_ERR(attach))
		return ERR_CAST(attach);
	get_dma_buf(dma_buf);
	object = persona_object_new(drm, dma_buf->size);
	if (IS_ERR(object)) {
		dma_buf_detach(dma_buf, attach);
		dma_buf_put(dma_buf);
		return ERR_CAST(object);
	}
	object->base.import_attach = attach;
	object->base.resv = dma_buf->resv;
	return &object->base;
}

const struct persona_kind persona_lazy_import = {
	.import = lazy_import,
};
