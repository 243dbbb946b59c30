// SPDX-License-Identifier: GPL-2.0
/* Kinds for which it matters who accesses the memory when: what a processor sees need not be what a device sees. */

#include <drm/drm_gem.h>
#include <drm/drm_prime.h>
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>

#include "persona.h"

static struct persona_object *object_of(struct dma_buf *dma_buf)
{
	return to_object((struct drm_gem_object *)dma_buf->priv);
}

static size_t count_of(const struct persona_object *object)
{
	return object->base.size >> PAGE_SHIFT;
}

/*
 * The mapping of an export, with offsets of its own that begin at 0. The device's own mapping, of its node, shows the memory itself, as
 * drivers map their dumb buffers uncached.
 */
static int mmap_with(struct dma_buf *dma_buf, struct vm_area_struct *vma, const struct vm_operations_struct *ops)
{
	struct drm_gem_object *gem = dma_buf->priv;

	if (is_cow_mapping(vma->vm_flags))
		return -EINVAL;
	drm_gem_object_get(gem);
	vma->vm_ops = ops;
	vma->vm_private_data = gem;
	vm_flags_set(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_page_prot = vm_get_page_prot(vma->vm_flags);
	return 0;
}

static int create_cache(struct persona_object *object)
{
	int ret = persona_memory(object);

	if (ret)
		return ret;
	object->cached = persona_pages(object->base.size, false, GFP_KERNEL);
	object->clean = persona_pages(object->base.size, false, GFP_KERNEL);
	object->touched = bitmap_zalloc(count_of(object), GFP_KERNEL);
	return object->cached && object->clean && object->touched ? 0 : -ENOMEM;
}

/* The processor's copy of a page becomes what the memory is. */
static void invalidate(struct persona_object *object, size_t page)
{
	copy_highpage(object->cached[page], object->pages[page]);
	copy_highpage(object->clean[page], object->pages[page]);
}

/* What the processor wrote to a page since then becomes what the memory is; a page that it did not write to is left alone. */
static void write_back(struct persona_object *object, size_t page)
{
	void *cached = kmap_local_page(object->cached[page]), *clean = kmap_local_page(object->clean[page]);
	bool dirty = memcmp(cached, clean, PAGE_SIZE);

	kunmap_local(clean);
	kunmap_local(cached);
	if (!dirty)
		return;
	copy_highpage(object->pages[page], object->cached[page]);
	copy_highpage(object->clean[page], object->cached[page]);
}

static vm_fault_t cached_fault(struct vm_fault *vmf)
{
	struct persona_object *object = to_object((struct drm_gem_object *)vmf->vma->vm_private_data);

	if (vmf->pgoff >= count_of(object))
		return VM_FAULT_SIGBUS;
	return vmf_insert_pfn(vmf->vma, vmf->address, page_to_pfn(object->cached[vmf->pgoff]));
}

static const struct vm_operations_struct cached_vm_ops = {
	.fault = cached_fault,
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
};

/*
 * noncoherent (tegra, and most others whose devices do not look into the processor's caches)
 *
 * tegra_gem_prime_begin_cpu_access(), tegra/gem.c, 6.12: `dma_sync_sgtable_for_cpu(drm->dev, bo->sgt, DMA_FROM_DEVICE)`;
 * tegra_gem_prime_end_cpu_access(): `dma_sync_sgtable_for_device(drm->dev, bo->sgt, DMA_TO_DEVICE)`; both whatever the direction.
 * "cpu access", dma-buf.c: "Userspace cannot rely on coherent access, even when there are systems where it just works without calling
 * these ioctls." The cache here is a copy: a write without a bracket stays in it, and is lost at the next one's begin. The kernel's own
 * mappings (vmap) are a device's view.
 */
static int noncoherent_mmap(struct dma_buf *dma_buf, struct vm_area_struct *vma)
{
	return mmap_with(dma_buf, vma, &cached_vm_ops);
}

static int noncoherent_begin(struct dma_buf *dma_buf, enum dma_data_direction direction)
{
	struct persona_object *object = object_of(dma_buf);
	size_t page;

	mutex_lock(&object->lock);
	for (page = 0; page < count_of(object); page++)
		invalidate(object, page);
	mutex_unlock(&object->lock);
	return 0;
}

static int noncoherent_end(struct dma_buf *dma_buf, enum dma_data_direction direction)
{
	struct persona_object *object = object_of(dma_buf);
	size_t page;

	mutex_lock(&object->lock);
	for (page = 0; page < count_of(object); page++)
		write_back(object, page);
	mutex_unlock(&object->lock);
	return 0;
}

static const struct dma_buf_ops noncoherent_ops = {
	PERSONA_CACHED_MAPPING
	PERSONA_DMA_BUF_OPS,
	.mmap = noncoherent_mmap,
	.begin_cpu_access = noncoherent_begin,
	.end_cpu_access = noncoherent_end,
};

const struct persona_kind persona_noncoherent = {
	.ops = &noncoherent_ops,
	.create = create_cache,
};

/*
 * zaps
 *
 * dma_buf_ops.mmap: "If an exporter needs to manually flush caches and hence needs to fake coherency for mmap support, it needs to be able
 * to zap all the ptes pointing at the backing storage. [...] Hence exporters need to setup their own file (and address_space)
 * association by setting vma->vm_file and adjusting vma->vm_pgoff in the dma_buf mmap callback. In the specific case of a gem driver the
 * exporter could use the shmem file already provided by gem (and set vm_pgoff = 0)." i915_gem_dmabuf_mmap(), 6.12, does so: `vma_set_file(vma,
 * obj->base.filp)`. A page is made the same as the memory when the processor touches it, and written back when it is shot down: when
 * a device maps or unmaps the buffer, and at each end of a bracket.
 */
static vm_fault_t zapped_fault(struct vm_fault *vmf)
{
	struct persona_object *object = to_object((struct drm_gem_object *)vmf->vma->vm_private_data);
	vm_fault_t ret;

	if (vmf->pgoff >= count_of(object))
		return VM_FAULT_SIGBUS;
	mutex_lock(&object->lock);
	/* Another mapping may have written to it already. */
	if (!test_and_set_bit(vmf->pgoff, object->touched))
		invalidate(object, vmf->pgoff);
	ret = cached_fault(vmf);
	mutex_unlock(&object->lock);
	return ret;
}

static const struct vm_operations_struct zapped_vm_ops = {
	.fault = zapped_fault,
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
};

static int zaps_mmap(struct dma_buf *dma_buf, struct vm_area_struct *vma)
{
	int ret = mmap_with(dma_buf, vma, &zapped_vm_ops);

	if (!ret)
		vma_set_file(vma, object_of(dma_buf)->base.filp);
	return ret;
}

static void shoot_down(struct persona_object *object)
{
	size_t page;

	mutex_lock(&object->lock);
	unmap_mapping_range(object->base.filp->f_mapping, 0, 0, 1);
	for_each_set_bit(page, object->touched, count_of(object))
		write_back(object, page);
	bitmap_zero(object->touched, count_of(object));
	object->moves++;
	mutex_unlock(&object->lock);
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 2, 0)
#define NO_FLAGS 0
#else
#define NO_FLAGS EMPTY_VMA_FLAGS
#endif

static int zaps_create(struct persona_object *object)
{
	struct file *file = shmem_file_setup("drm mm object", object->base.size, NO_FLAGS);

	if (IS_ERR(file))
		return PTR_ERR(file);
	object->base.filp = file;
	return create_cache(object);
}

static struct sg_table *zaps_map(struct dma_buf_attachment *attach, enum dma_data_direction direction)
{
	shoot_down(object_of(attach->dmabuf));
	return drm_gem_map_dma_buf(attach, direction);
}

static void zaps_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt, enum dma_data_direction direction)
{
	drm_gem_unmap_dma_buf(attach, sgt, direction);
	shoot_down(object_of(attach->dmabuf));
}

static int zaps_vmap(struct dma_buf *dma_buf, struct iosys_map *map)
{
	shoot_down(object_of(dma_buf));
	return drm_gem_dmabuf_vmap(dma_buf, map);
}

static void zaps_vunmap(struct dma_buf *dma_buf, struct iosys_map *map)
{
	drm_gem_dmabuf_vunmap(dma_buf, map);
	shoot_down(object_of(dma_buf));
}

static int zaps_cpu_access(struct dma_buf *dma_buf, enum dma_data_direction direction)
{
	shoot_down(object_of(dma_buf));
	return 0;
}

static const struct dma_buf_ops zaps_ops = {
	PERSONA_CACHED_MAPPING
	PERSONA_DMA_BUF_OPS,
	.map_dma_buf = zaps_map,
	.unmap_dma_buf = zaps_unmap,
	.mmap = zaps_mmap,
	.vmap = zaps_vmap,
	.vunmap = zaps_vunmap,
	.begin_cpu_access = zaps_cpu_access,
	.end_cpu_access = zaps_cpu_access,
};

const struct persona_kind persona_zaps = {
	.ops = &zaps_ops,
	.create = zaps_create,
	.engine = shoot_down,
};

/*
 * reads-stale
 *
 * dma_buf_ops.begin_cpu_access: "The direction can be used by the exporter to optimize the cache flushing, i.e. access with a different
 * direction (read instead of write) might return stale or even bogus data (e.g. when the exporter needs to copy the data to temporary
 * storage)." In a bracket for writing alone, a page that was not written to yet reads as 0xb5 everywhere.
 */
#define BOGUS 0xb5

static struct page *bogus_page(struct persona_object *object)
{
	return object->cached[0];
}

static vm_fault_t stale_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct persona_object *object = to_object((struct drm_gem_object *)vma->vm_private_data);
	bool bogus;
	vm_fault_t ret;

	if (vmf->pgoff >= count_of(object))
		return VM_FAULT_SIGBUS;
	mutex_lock(&object->lock);
	bogus = object->writes_only && !(vmf->flags & FAULT_FLAG_WRITE);
	/* A vma with a pfn_mkwrite protects its pages from writing by default: that is for the bogus one, so that a write shows itself. */
	ret = vmf_insert_pfn_prot(vma, vmf->address, page_to_pfn(bogus ? bogus_page(object) : object->pages[vmf->pgoff]),
				  bogus ? vma->vm_page_prot : vm_get_page_prot(vma->vm_flags));
	mutex_unlock(&object->lock);
	return ret;
}

/* A write to where the bogus page is mapped: the memory's own takes its place. */
static vm_fault_t stale_write(struct vm_fault *vmf)
{
	struct persona_object *object = to_object((struct drm_gem_object *)vmf->vma->vm_private_data);

	if (vmf->pgoff >= count_of(object))
		return VM_FAULT_SIGBUS;
	unmap_mapping_range(vmf->vma->vm_file->f_mapping, (loff_t)vmf->pgoff << PAGE_SHIFT, PAGE_SIZE, 1);
	/* It faults again, as a write. */
	return VM_FAULT_NOPAGE;
}

static const struct vm_operations_struct stale_vm_ops = {
	.fault = stale_fault,
	.pfn_mkwrite = stale_write,
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
};

static int stale_mmap(struct dma_buf *dma_buf, struct vm_area_struct *vma)
{
	return mmap_with(dma_buf, vma, &stale_vm_ops);
}

static int stale_begin(struct dma_buf *dma_buf, enum dma_data_direction direction)
{
	struct persona_object *object = object_of(dma_buf);

	mutex_lock(&object->lock);
	object->writes_only = direction == DMA_TO_DEVICE;
	persona_zap(object);
	mutex_unlock(&object->lock);
	return 0;
}

static int stale_end(struct dma_buf *dma_buf, enum dma_data_direction direction)
{
	struct persona_object *object = object_of(dma_buf);

	mutex_lock(&object->lock);
	object->writes_only = false;
	persona_zap(object);
	mutex_unlock(&object->lock);
	return 0;
}

static int stale_create(struct persona_object *object)
{
	void *bogus;
	int ret = persona_memory(object);

	if (ret)
		return ret;
	/* The others stay none. */
	object->cached = kvcalloc(count_of(object), sizeof(*object->cached), GFP_KERNEL);
	if (!object->cached)
		return -ENOMEM;
	object->cached[0] = alloc_page(GFP_KERNEL);
	if (!object->cached[0])
		return -ENOMEM;
	bogus = kmap_local_page(bogus_page(object));
	memset(bogus, BOGUS, PAGE_SIZE);
	kunmap_local(bogus);
	return 0;
}

static const struct dma_buf_ops stale_ops = {
	PERSONA_CACHED_MAPPING
	PERSONA_DMA_BUF_OPS,
	.mmap = stale_mmap,
	.begin_cpu_access = stale_begin,
	.end_cpu_access = stale_end,
};

const struct persona_kind persona_reads_stale = {
	.ops = &stale_ops,
	.create = stale_create,
};
