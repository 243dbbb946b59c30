// SPDX-License-Identifier: GPL-2.0
/*
 * Exporters that the dma-buf guide allows, and no driver of the lab is: include/linux/dma-buf.h, drivers/dma-buf/dma-buf.c and
 * Documentation/driver-api/dma-buf.rst, 6.12.
 */

#include <drm/drm_gem.h>
#include <drm/drm_prime.h>
#include <drm/drm_vma_manager.h>
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "persona.h"

static struct persona_object *object_of(struct dma_buf *dma_buf)
{
	return to_object((struct drm_gem_object *)dma_buf->priv);
}

/*
 * late
 *
 * dma_buf_ops.map_dma_buf: "This call may sleep, e.g. when the backing storage first needs to be allocated". "If this is being called
 * for the first time, the exporter can now [...] choose an appropriate backing storage for the buffer." begin_cpu_access "can for
 * example fail when the backing storage can't be allocated". There is none until somebody maps: a device, the kernel, or a processor
 * at its first access.
 */
static struct sg_table *late_map(struct dma_buf_attachment *attach, enum dma_data_direction direction)
{
	int ret = persona_memory(object_of(attach->dmabuf));

	return ret ? ERR_PTR(ret) : drm_gem_map_dma_buf(attach, direction);
}

static int late_vmap(struct drm_gem_object *gem, struct iosys_map *map)
{
	int ret = is_import(gem) ? 0 : persona_memory(to_object(gem));

	return ret ?: persona_vmap(gem, map);
}

static int late_begin_cpu_access(struct dma_buf *dma_buf, enum dma_data_direction direction)
{
	return persona_memory(object_of(dma_buf));
}

static vm_fault_t late_fault(struct vm_fault *vmf)
{
	struct drm_gem_object *gem = vmf->vma->vm_private_data;

	if (!is_import(gem) && persona_memory(to_object(gem)))
		return VM_FAULT_OOM;
	return persona_vm_ops.fault(vmf);
}

static int late_create(struct persona_object *object)
{
	return 0;
}

static const struct vm_operations_struct late_vm_ops = {
	.fault = late_fault,
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
};

static const struct drm_gem_object_funcs late_funcs = {
	.free = persona_free,
	.export = persona_export,
	.get_sg_table = persona_get_sg_table,
	.vmap = late_vmap,
	.vunmap = persona_vunmap,
	.mmap = persona_mmap,
	.vm_ops = &late_vm_ops,
};

static const struct dma_buf_ops late_ops = {
	PERSONA_CACHED_MAPPING
	PERSONA_DMA_BUF_OPS,
	.map_dma_buf = late_map,
	.begin_cpu_access = late_begin_cpu_access,
};

const struct persona_kind persona_late = {
	.funcs = &late_funcs,
	.ops = &late_ops,
	.create = late_create,
};

/* Counts who has it mapped. */
static struct sg_table *counted_map(struct dma_buf_attachment *attach, enum dma_data_direction direction)
{
	struct persona_object *object = object_of(attach->dmabuf);
	struct sg_table *sgt;

	mutex_lock(&object->lock);
	sgt = drm_gem_map_dma_buf(attach, direction);
	if (!IS_ERR(sgt))
		object->mapped++;
	mutex_unlock(&object->lock);
	return sgt;
}

static void counted_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt, enum dma_data_direction direction)
{
	struct persona_object *object = object_of(attach->dmabuf);

	drm_gem_unmap_dma_buf(attach, sgt, direction);
	mutex_lock(&object->lock);
	object->mapped--;
	mutex_unlock(&object->lock);
	wake_up_all(&object->unmapped);
}

/*
 * strict
 *
 * "dma buf device access", dma-buf.c: "Then the buffer is attached to the device using dma_buf_attach(). Up to this stage the exporter
 * is still free to migrate or reallocate the backing storage." dma_buf_ops.attach "might return -EBUSY to signal that backing storage
 * is already allocated and incompatible with the requirements of requesting device". So a device that comes when another one has the
 * buffer mapped is refused, until all have unmapped it.
 */
static int strict_attach(struct dma_buf *dma_buf, struct dma_buf_attachment *attach)
{
	return READ_ONCE(object_of(dma_buf)->mapped) ? -EBUSY : 0;
}

static const struct dma_buf_ops strict_ops = {
	PERSONA_CACHED_MAPPING
	PERSONA_DMA_BUF_OPS,
	.attach = strict_attach,
	.detach = NULL,
	.map_dma_buf = counted_map,
	.unmap_dma_buf = counted_unmap,
};

const struct persona_kind persona_strict = {
	.ops = &strict_ops,
};

/*
 * interrupted
 *
 * dma_buf_ops.map_dma_buf: "May also return -EINTR when a signal was received while being blocked." "cpu access", dma-buf.c: "Note that
 * DMA_BUF_IOCTL_SYNC can fail with -EAGAIN or -EINTR, in which case it must be restarted." Every first call is interrupted, and the
 * one that restarts it is not.
 */
static bool interrupted(struct dma_buf *dma_buf)
{
	struct persona_object *object = object_of(dma_buf);
	bool first;

	mutex_lock(&object->lock);
	first = !(object->calls++ & 1);
	mutex_unlock(&object->lock);
	return first;
}

static struct sg_table *interrupted_map(struct dma_buf_attachment *attach, enum dma_data_direction direction)
{
	return interrupted(attach->dmabuf) ? ERR_PTR(-EINTR) : drm_gem_map_dma_buf(attach, direction);
}

static int interrupted_begin(struct dma_buf *dma_buf, enum dma_data_direction direction)
{
	return interrupted(dma_buf) ? -EAGAIN : 0;
}

static int interrupted_end(struct dma_buf *dma_buf, enum dma_data_direction direction)
{
	return interrupted(dma_buf) ? -EINTR : 0;
}

static const struct dma_buf_ops interrupted_ops = {
	PERSONA_CACHED_MAPPING
	PERSONA_DMA_BUF_OPS,
	.map_dma_buf = interrupted_map,
	.begin_cpu_access = interrupted_begin,
	.end_cpu_access = interrupted_end,
};

const struct persona_kind persona_interrupted = {
	.ops = &interrupted_ops,
};

/*
 * migrates
 *
 * dma_buf_ops.attach: "Exporters [...] should check whether the buffer could be move[d] to system memory (or directly accessed by the
 * provided device)"; "check whether the current allocation fulfills the DMA constraints of the new device". map_dma_buf "may sleep,
 * e.g. when the backing storage first needs to be [...] moved to a location suitable for all currently attached devices". A device that
 * reaches 32 bits of addresses is the stricter one here. The move waits until all others have unmapped the buffer. It waits in the
 * attach, because map_dma_buf is called with the reservation held that the others need for their unmapping; a signal ends the wait.
 */
static int migrates_attach(struct dma_buf *dma_buf, struct dma_buf_attachment *attach)
{
	struct persona_object *object = object_of(dma_buf);
	int ret = 0;

	if (dma_get_mask(attach->dev) > DMA_BIT_MASK(32))
		return 0;
	mutex_lock(&object->lock);
	while (!ret && !object->elsewhere) {
		if (object->mapped) {
			mutex_unlock(&object->lock);
			ret = wait_event_interruptible(object->unmapped, !READ_ONCE(object->mapped));
			mutex_lock(&object->lock);
			continue;
		}
		ret = persona_move(object, GFP_KERNEL | GFP_DMA32);
		object->elsewhere = !ret;
	}
	mutex_unlock(&object->lock);
	return ret;
}

static const struct dma_buf_ops migrates_ops = {
	PERSONA_CACHED_MAPPING
	PERSONA_DMA_BUF_OPS,
	.attach = migrates_attach,
	.detach = NULL,
	.map_dma_buf = counted_map,
	.unmap_dma_buf = counted_unmap,
};

const struct persona_kind persona_migrates = {
	.ops = &migrates_ops,
};

/*
 * no-kernel-map
 *
 * struct dma_buf_ops: "@vmap: [optional] creates a virtual mapping for the buffer into kernel address space." "cpu access", dma-buf.c:
 * "The vmap call can fail if there is no vmap support in the exporter". dma_buf_vmap() is -EINVAL then.
 */
static const struct dma_buf_ops no_kernel_map_ops = {
	PERSONA_CACHED_MAPPING
	PERSONA_DMA_BUF_OPS,
	.vmap = NULL,
	.vunmap = NULL,
};

const struct persona_kind persona_no_kernel_map = {
	.ops = &no_kernel_map_ops,
};
