// SPDX-License-Identifier: GPL-2.0
/* Kinds whose rule is about what they do with buffers of others. */

#include <drm/drm_gem.h>
#include <drm/drm_prime.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "persona.h"

/*
 * ttm (R1: amdgpu, xe, nouveau, radeon, qxl, hibmc, loongson)
 *
 * drm_gem_ttm_dumb_map_offset(), drm_gem_ttm_helper.c, 6.12, looks the handle up and gives its offset, imported or not;
 * amdgpu_mode_dumb_mmap(), amdgpu_gem.c, does as well. ttm_bo_vm_reserve(), ttm_bo_vm.c, 6.12: "Refuse to fault imported pages.
 * This should be handled (if at all) by redirecting mmap to the exporter": VM_FAULT_SIGBUS.
 */
/* The default fault finds no memory in an import, and that is a SIGBUS. */
const struct persona_kind persona_ttm = {
	.map_offset = persona_map_offset,
};

/*
 * mmap-redirect (R4: nvidia-drm, vmwgfx)
 *
 * vmw_gem_mmap(), vmwgfx_gem.c, 6.12: `ret = dma_buf_mmap(obj->dma_buf, vma, 0);` for an import. Its dumb_map_offset is
 * drm_gem_ttm_dumb_map_offset(), so that users come here. drm_gem_shmem_mmap() does the same, but drm_gem_dumb_map_offset() does
 * not lead there.
 */
static int redirected_mmap(struct drm_gem_object *gem, struct vm_area_struct *vma)
{
	int ret;

	if (!is_import(gem))
		return persona_mmap(gem, vma);
	vma->vm_private_data = NULL;
	vma->vm_ops = NULL;
	ret = dma_buf_mmap(gem->import_attach->dmabuf, vma, 0);
	/* The reference is the exporter's now. */
	if (!ret)
		drm_gem_object_put(gem);
	return ret;
}

static const struct drm_gem_object_funcs redirecting_funcs = {
	.free = persona_free,
	.export = persona_export,
	.get_sg_table = persona_get_sg_table,
	.vmap = persona_vmap,
	.vunmap = persona_vunmap,
	.mmap = redirected_mmap,
	.vm_ops = &persona_vm_ops,
};

const struct persona_kind persona_mmap_redirect = {
	.map_offset = persona_map_offset,
	.funcs = &redirecting_funcs,
};

/*
 * lazy-import (R2: i915 on 6.12 from every exporter that is not dynamic, amdgpu and xe from dynamic ones)
 *
 * i915_gem_prime_import(), i915_gem_dmabuf.c, 6.12: "need to attach", and then an object without a mapping. The mapping is made
 * by i915_gem_object_get_pages_dmabuf(), at first use. From a dynamic exporter dma_buf_dynamic_attach(), dma-buf.c, 6.12, makes it
 * at the attach: "When either the importer or the exporter can't handle dynamic mappings we cache the mapping here".
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

/*
 * own-pages (msm)
 *
 * msm_gem_import(), msm_gem.c, 6.12: `drm_prime_sg_to_page_array(sgt, msm_obj->pages, npages)`, and msm_gem_fault() puts a page of
 * that array into the mapping, without the exporter. msm_gem_dumb_map_offset(): "GEM does all our handle to object mapping", for
 * imports too.
 */
static int take_pages(struct persona_object *object)
{
	size_t count = object->base.size >> PAGE_SHIFT;

	object->pages = kvcalloc(count, sizeof(*object->pages), GFP_KERNEL);
	if (!object->pages)
		return -ENOMEM;
	return drm_prime_sg_to_page_array(object->sgt, object->pages, count) ? -EINVAL : 0;
}

const struct persona_kind persona_own_pages = {
	.map_offset = persona_map_offset,
	.imported = take_pages,
};

/*
 * contiguous (R6: vc4, lcdif, mxsfb, meson, tidss, xlnx, sun4i, komeda, and rockchip without an IOMMU)
 *
 * drm_gem_dma_prime_import_sg_table(), drm_gem_dma_helper.c, 6.12: "check if the entries in the sg_table are contiguous":
 * `if (drm_prime_get_contiguous_size(sgt) < attach->dmabuf->size) return ERR_PTR(-EINVAL);`. Their own memory is one piece.
 */
static int one_piece_only(struct dma_buf_attachment *attach, struct sg_table *sgt)
{
	return drm_prime_get_contiguous_size(sgt) < attach->dmabuf->size ? -EINVAL : 0;
}

const struct persona_kind persona_contiguous = {
	.contiguous = true,
	.accept = one_piece_only,
};

/*
 * small (tegra, and every device whose address space is smaller than what it is given)
 *
 * tegra_bo_iommu_map(), tegra/gem.c, 6.12, at an import: `drm_mm_insert_node_generic(&tegra->mm, ...)`, which is -ENOSPC when the
 * aperture is full: "out of I/O virtual memory". Its own buffers are in the same aperture.
 */
const struct persona_kind persona_small = {
	.aperture = SZ_16M,
};
