// SPDX-License-Identifier: GPL-2.0
/*
 * The objects of a persona, and what the default persona does with them: its memory is there from the beginning, coherent, and
 * never moves; it exports through the PRIME helpers; an import is mapped when it is made, as drm_gem_prime_import() does it.
 */

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_prime.h>
#include <drm/drm_vma_manager.h>
#include <linux/bitmap.h>
#include <linux/dma-mapping.h>
#include <linux/highmem.h>
#include <linux/iosys-map.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "persona.h"

void persona_pages_free(struct page **pages, size_t size, bool one_piece)
{
	size_t count = size >> PAGE_SHIFT, at;

	if (!pages)
		return;
	if (one_piece)
		free_pages_exact(page_address(pages[0]), size);
	else
		for (at = 0; at < count && pages[at]; at++)
			__free_page(pages[at]);
	kvfree(pages);
}

/*
 * Zeroed pages: one piece, or, so that luck decides nothing, scattered: of two neighbours in the buffer the later one never
 * follows the earlier one in memory.
 */
struct page **persona_pages(size_t size, bool one_piece, gfp_t gfp)
{
	size_t count = size >> PAGE_SHIFT, at;
	struct page **pages = kvcalloc(count, sizeof(*pages), GFP_KERNEL);
	void *piece;

	if (!pages)
		return NULL;
	if (one_piece) {
		piece = alloc_pages_exact(size, gfp | __GFP_ZERO | __GFP_NOWARN);
		if (!piece) {
			kvfree(pages);
			return NULL;
		}
		for (at = 0; at < count; at++)
			pages[at] = virt_to_page(piece + at * PAGE_SIZE);
		return pages;
	}
	for (at = 0; at < count; at++) {
		pages[at] = alloc_page(gfp | __GFP_ZERO);
		if (!pages[at]) {
			persona_pages_free(pages, size, false);
			return NULL;
		}
	}
	for (at = 1; at < count; at++)
		if (page_to_pfn(pages[at]) == page_to_pfn(pages[at - 1]) + 1)
			swap(pages[at], pages[at - 1]);
	return pages;
}

/* Gives an object of one's own its memory, if it has none yet. */
int persona_memory(struct persona_object *object)
{
	int ret = 0;

	mutex_lock(&object->lock);
	if (!object->pages) {
		object->pages = persona_pages(object->base.size, object->one_piece, GFP_KERNEL);
		ret = object->pages ? 0 : -ENOMEM;
	}
	mutex_unlock(&object->lock);
	return ret;
}

/* Shoots down the processor's mappings, of the device's node and of the export. Called with the object locked. */
void persona_zap(struct persona_object *object)
{
	drm_vma_node_unmap(&object->base.vma_node, object->base.dev->anon_inode->i_mapping);
	if (object->dma_buf)
		unmap_mapping_range(object->dma_buf->file->f_mapping, 0, 0, 1);
	if (object->base.filp)
		unmap_mapping_range(object->base.filp->f_mapping, 0, 0, 1);
}

static void persona_copy_pages(struct page **to, struct page **from, size_t size)
{
	size_t at;

	for (at = 0; at < size >> PAGE_SHIFT; at++)
		copy_highpage(to[at], from[at]);
}

/* Moves the memory of an object that no device has mapped, with its content. Called with the object locked. */
int persona_move(struct persona_object *object, gfp_t gfp)
{
	struct page **pages;

	if (object->vmaps)
		return -EBUSY;
	pages = persona_pages(object->base.size, object->one_piece, gfp);
	if (!pages)
		return -ENOMEM;
	persona_zap(object);
	persona_copy_pages(pages, object->pages, object->base.size);
	persona_pages_free(object->pages, object->base.size, object->one_piece);
	object->pages = pages;
	object->moves++;
	return 0;
}

struct persona_object *persona_object_new(struct drm_device *drm, size_t size)
{
	struct persona *persona = to_persona(drm);
	struct persona_object *object = kzalloc(sizeof(*object), GFP_KERNEL);
	int ret;

	if (!object)
		return ERR_PTR(-ENOMEM);
	mutex_lock(&persona->lock);
	if (persona->kind->aperture && persona->used + size > persona->kind->aperture) {
		mutex_unlock(&persona->lock);
		kfree(object);
		return ERR_PTR(-ENOSPC);
	}
	persona->used += size;
	list_add_tail(&object->node, &persona->objects);
	mutex_unlock(&persona->lock);

	mutex_init(&object->lock);
	init_waitqueue_head(&object->unmapped);
	object->one_piece = persona->kind->contiguous;
	object->base.funcs = persona->kind->funcs ?: &persona_funcs;
	drm_gem_private_object_init(drm, &object->base, size);
	ret = drm_gem_create_mmap_offset(&object->base);
	if (ret) {
		persona_free(&object->base);
		return ERR_PTR(ret);
	}
	return object;
}

void persona_free(struct drm_gem_object *gem)
{
	struct persona_object *object = to_object(gem);
	struct persona *persona = to_persona(gem->dev);

	if (is_import(gem)) {
		drm_prime_gem_destroy(gem, object->sgt);
		/* The pages are the exporter's. */
		kvfree(object->pages);
	} else {
		vunmap(object->vaddr);
		persona_pages_free(object->pages, gem->size, object->one_piece);
		persona_pages_free(object->cached, gem->size, false);
		persona_pages_free(object->clean, gem->size, false);
		bitmap_free(object->touched);
	}
	mutex_lock(&persona->lock);
	persona->used -= gem->size;
	list_del(&object->node);
	mutex_unlock(&persona->lock);
	drm_gem_object_release(gem);
	kfree(object);
}

int persona_dumb_create(struct drm_file *file, struct drm_device *drm, struct drm_mode_create_dumb *args)
{
	const struct persona_kind *kind = to_persona(drm)->kind;
	struct persona_object *object;
	int ret;

	args->pitch = DIV_ROUND_UP(args->width * args->bpp, 8);
	args->size = PAGE_ALIGN((u64)args->pitch * args->height);
	object = persona_object_new(drm, args->size);
	if (IS_ERR(object))
		return PTR_ERR(object);
	ret = kind->create ? kind->create(object) : persona_memory(object);
	if (!ret)
		ret = drm_gem_handle_create(file, &object->base, &args->handle);
	drm_gem_object_put(&object->base);
	return ret;
}

/* Those of the PRIME helpers, drm_gem_prime_dmabuf_ops in drm_prime.c. */
static const struct dma_buf_ops persona_dmabuf_ops = {
	PERSONA_CACHED_MAPPING
	PERSONA_DMA_BUF_OPS,
};

static const struct dma_buf_ops *ops_of(struct drm_device *drm)
{
	return to_persona(drm)->kind->ops ?: &persona_dmabuf_ops;
}

/* As the drivers do that have dma_buf_ops of their own: xe_gem_prime_export(), xe_dma_buf.c, 6.12. */
struct dma_buf *persona_export(struct drm_gem_object *gem, int flags)
{
	struct dma_buf *dma_buf = drm_gem_prime_export(gem, flags);

	if (!IS_ERR(dma_buf)) {
		dma_buf->ops = ops_of(gem->dev);
		mutex_lock(&to_object(gem)->lock);
		to_object(gem)->dma_buf = dma_buf;
		mutex_unlock(&to_object(gem)->lock);
	}
	return dma_buf;
}

void persona_release(struct dma_buf *dma_buf)
{
	struct persona_object *object = to_object((struct drm_gem_object *)dma_buf->priv);

	mutex_lock(&object->lock);
	/* A new export may have begun already. */
	if (object->dma_buf == dma_buf)
		object->dma_buf = NULL;
	mutex_unlock(&object->lock);
	drm_gem_dmabuf_release(dma_buf);
}

/* The object itself where a device imports what it exported, with a reference. */
struct drm_gem_object *persona_own(struct drm_device *drm, struct dma_buf *dma_buf)
{
	struct drm_gem_object *gem = dma_buf->priv;

	if (dma_buf->ops != ops_of(drm) || gem->dev != drm)
		return NULL;
	drm_gem_object_get(gem);
	return gem;
}

struct drm_gem_object *persona_import(struct drm_device *drm, struct dma_buf *dma_buf)
{
	return persona_own(drm, dma_buf) ?: drm_gem_prime_import(drm, dma_buf);
}

struct drm_gem_object *persona_import_sg_table(struct drm_device *drm, struct dma_buf_attachment *attach, struct sg_table *sgt)
{
	struct persona *persona = to_persona(drm);
	struct persona_object *object;
	int ret;

	if (persona->kind->accept) {
		ret = persona->kind->accept(attach, sgt);
		if (ret)
			return ERR_PTR(ret);
	}
	object = persona_object_new(drm, attach->dmabuf->size);
	if (IS_ERR(object))
		return ERR_CAST(object);
	object->sgt = sgt;
	if (persona->kind->imported) {
		ret = persona->kind->imported(object);
		if (ret) {
			/* The attachment and its mapping are still the caller's. */
			kvfree(object->pages);
			object->pages = NULL;
			drm_gem_object_put(&object->base);
			return ERR_PTR(ret);
		}
	}
	return &object->base;
}

struct sg_table *persona_get_sg_table(struct drm_gem_object *gem)
{
	return drm_prime_pages_to_sg(gem->dev, to_object(gem)->pages, gem->size >> PAGE_SHIFT);
}

int persona_vmap(struct drm_gem_object *gem, struct iosys_map *map)
{
	struct persona_object *object = to_object(gem);

	if (is_import(gem))
		return dma_buf_vmap(gem->import_attach->dmabuf, map);
	mutex_lock(&object->lock);
	if (!object->vaddr)
		object->vaddr = vmap(object->pages, gem->size >> PAGE_SHIFT, VM_MAP, PAGE_KERNEL);
	if (object->vaddr)
		object->vmaps++;
	mutex_unlock(&object->lock);
	if (!object->vaddr)
		return -ENOMEM;
	iosys_map_set_vaddr(map, object->vaddr);
	return 0;
}

void persona_vunmap(struct drm_gem_object *gem, struct iosys_map *map)
{
	struct persona_object *object = to_object(gem);

	if (is_import(gem)) {
		dma_buf_vunmap(gem->import_attach->dmabuf, map);
		return;
	}
	mutex_lock(&object->lock);
	if (!--object->vmaps) {
		vunmap(object->vaddr);
		object->vaddr = NULL;
	}
	mutex_unlock(&object->lock);
}

int persona_mmap(struct drm_gem_object *gem, struct vm_area_struct *vma)
{
	if (is_cow_mapping(vma->vm_flags))
		return -EINVAL;
	vm_flags_set(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_page_prot = vm_get_page_prot(vma->vm_flags);
	return 0;
}

/* An offset for every handle; drm_gem_dumb_map_offset(), which is used where a kind has none, gives none for imports. */
int persona_map_offset(struct drm_file *file, struct drm_device *drm, u32 handle, u64 *offset)
{
	struct drm_gem_object *gem = drm_gem_object_lookup(file, handle);

	if (!gem)
		return -ENOENT;
	*offset = drm_vma_node_offset_addr(&gem->vma_node);
	drm_gem_object_put(gem);
	return 0;
}

static vm_fault_t persona_fault(struct vm_fault *vmf)
{
	struct drm_gem_object *gem = vmf->vma->vm_private_data;
	struct persona_object *object = to_object(gem);
	pgoff_t page = vmf->pgoff - drm_vma_node_start(&gem->vma_node);
	vm_fault_t ret = VM_FAULT_SIGBUS;

	if (page >= gem->size >> PAGE_SHIFT)
		return ret;
	mutex_lock(&object->lock);
	if (object->pages)
		ret = vmf_insert_pfn(vmf->vma, vmf->address, page_to_pfn(object->pages[page]));
	mutex_unlock(&object->lock);
	return ret;
}

const struct vm_operations_struct persona_vm_ops = {
	.fault = persona_fault,
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
};

const struct drm_gem_object_funcs persona_funcs = {
	.free = persona_free,
	.export = persona_export,
	.get_sg_table = persona_get_sg_table,
	.vmap = persona_vmap,
	.vunmap = persona_vunmap,
	.mmap = persona_mmap,
	.vm_ops = &persona_vm_ops,
};

static int copy(struct page *page, size_t offset, size_t size, void __user *data, bool write)
{
	void *at = kmap_local_page(page);
	unsigned long left;

	left = write ? copy_from_user(at + offset, data, size) : copy_to_user(data, at + offset, size);
	kunmap_local(at);
	return left ? -EFAULT : 0;
}

/* The mapping of an import's attachment, made now if there is none: an importer that attaches lazily does so at first use. */
static struct sg_table *mapping(struct persona_object *object)
{
	struct sg_table *sgt;

	mutex_lock(&object->lock);
	if (!object->sgt) {
		sgt = dma_buf_map_attachment_unlocked(object->base.import_attach, DMA_BIDIRECTIONAL);
		if (!IS_ERR(sgt))
			object->sgt = sgt;
	} else {
		sgt = object->sgt;
	}
	mutex_unlock(&object->lock);
	return sgt;
}

static struct page *nth_page_of(struct sg_table *sgt, size_t number)
{
	struct sg_page_iter iter;

	for_each_sgtable_page(sgt, &iter, number)
		return sg_page_iter_page(&iter);
	return NULL;
}

int persona_engine_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_persona_engine *args = data;
	const struct persona_kind *kind = to_persona(drm)->kind;
	struct drm_gem_object *gem = drm_gem_object_lookup(file, args->handle);
	struct persona_object *object;
	struct sg_table *sgt = NULL;
	struct dma_buf *dma_buf;
	u64 done = 0;
	int ret = 0;

	if (!gem)
		return -ENOENT;
	object = to_object(gem);
	/* Mappings of the export may be shot down, so it stays meanwhile. */
	mutex_lock(&drm->object_name_lock);
	dma_buf = gem->dma_buf;
	if (dma_buf)
		get_dma_buf(dma_buf);
	mutex_unlock(&drm->object_name_lock);
	if (args->offset > gem->size || args->size > gem->size - args->offset) {
		ret = -EINVAL;
		goto out;
	}
	if (is_import(gem)) {
		sgt = mapping(object);
		if (IS_ERR(sgt)) {
			ret = PTR_ERR(sgt);
			goto out;
		}
	} else {
		ret = persona_memory(object);
		if (!ret && kind->engine)
			kind->engine(object);
	}
	while (!ret && done < args->size) {
		u64 offset = args->offset + done;
		size_t size = min_t(u64, args->size - done, PAGE_SIZE - offset_in_page(offset));
		struct page *page = sgt ? nth_page_of(sgt, offset >> PAGE_SHIFT) : object->pages[offset >> PAGE_SHIFT];

		ret = page ? copy(page, offset_in_page(offset), size, u64_to_user_ptr(args->data + done), args->write) : -EFAULT;
		done += size;
	}
	if (!is_import(gem) && kind->engine)
		kind->engine(object);
out:
	if (dma_buf)
		dma_buf_put(dma_buf);
	drm_gem_object_put(gem);
	return ret;
}
