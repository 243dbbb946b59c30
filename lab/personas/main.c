// SPDX-License-Identifier: GPL-2.0
/* Personas: DRM devices, each of which follows one rule of a real driver. See README.md. */

#include <drm/drm_debugfs.h>
#include <drm/drm_file.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_prime.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/seq_file.h>
#include <linux/version.h>

#include "persona.h"

static const struct {
	const char *name;
	const struct persona_kind *kind;
} kinds[] = {
#define ENTRY(symbol, text) { text, &persona_##symbol },
	PERSONAS(ENTRY)
#undef ENTRY
};

#define INFO(symbol, text) MODULE_INFO(kind, text);
PERSONAS(INFO)
#undef INFO

static char *wanted[ARRAY_SIZE(kinds)];
static unsigned int wanted_count;
module_param_array_named(kinds, wanted, charp, &wanted_count, 0444);
MODULE_PARM_DESC(kinds, "the personas to create a device for, in this order");

static struct platform_device *platforms[ARRAY_SIZE(kinds)];

DEFINE_DRM_GEM_FOPS(persona_fops);

static const struct drm_ioctl_desc persona_ioctls[] = {
	DRM_IOCTL_DEF_DRV(PERSONA_ENGINE, persona_engine_ioctl, DRM_RENDER_ALLOW),
};

/* /sys/kernel/debug/dri/N/objects: what a probe asks to see whether a rule acted. */
static int show_objects(struct seq_file *file, void *unused)
{
	struct drm_debugfs_entry *entry = file->private;
	struct persona *persona = to_persona(entry->dev);
	struct persona_object *object;

	mutex_lock(&persona->lock);
	list_for_each_entry(object, &persona->objects, node)
		seq_printf(file, "size=%zu %s memory=%s attached=%u mapped=%u moves=%u calls=%u\n", object->base.size,
			   is_import(&object->base) ? "imported" : "own",
			   is_import(&object->base) ? (object->sgt ? "mapped" : "not-mapped") :
			   !object->pages ? "none" : object->elsewhere ? "elsewhere" : "in-place",
			   object->attached, object->mapped, object->moves, object->calls);
	mutex_unlock(&persona->lock);
	return 0;
}

static void persona_unregister(void *drm)
{
	drm_dev_unregister(drm);
}

static int persona_create(struct platform_device *platform, const struct persona_kind *kind)
{
	struct device *device = &platform->dev;
	struct drm_driver *driver;
	struct persona *persona;
	int ret;

	driver = devm_kzalloc(device, sizeof(*driver), GFP_KERNEL);
	if (!driver)
		return -ENOMEM;
	driver->driver_features = DRIVER_GEM | kind->features;
	driver->fops = &persona_fops;
	driver->name = (char *)platform->name;
	driver->desc = "imitation of one rule of a real driver";
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)
	driver->date = "20250101";
#endif
	driver->major = 1;
	driver->ioctls = persona_ioctls;
	driver->num_ioctls = ARRAY_SIZE(persona_ioctls);
	driver->dumb_create = kind->no_dumb ? NULL : persona_dumb_create;
	driver->dumb_map_offset = kind->map_offset;
	driver->gem_prime_import = kind->import ?: persona_import;
	driver->gem_prime_import_sg_table = persona_import_sg_table;

	dma_coerce_mask_and_coherent(device, DMA_BIT_MASK(64));
	persona = devm_drm_dev_alloc(device, driver, struct persona, drm);
	if (IS_ERR(persona))
		return PTR_ERR(persona);
	persona->kind = kind;
	mutex_init(&persona->lock);
	INIT_LIST_HEAD(&persona->objects);
	drm_debugfs_add_file(&persona->drm, "objects", show_objects, NULL);
	ret = drm_dev_register(&persona->drm, 0);
	if (ret)
		return ret;
	return devm_add_action_or_reset(device, persona_unregister, &persona->drm);
}

static void persona_remove(unsigned int number)
{
	devres_release_group(&platforms[number]->dev, NULL);
	platform_device_unregister(platforms[number]);
}

static int persona_add(unsigned int number)
{
	struct platform_device *platform;
	const struct persona_kind *kind = NULL;
	char name[48];
	unsigned int at;
	int ret;

	for (at = 0; at < ARRAY_SIZE(kinds); at++)
		if (!strcmp(kinds[at].name, wanted[number]))
			kind = kinds[at].kind;
	if (!kind) {
		pr_err("persona: there is no kind %s\n", wanted[number]);
		return -EINVAL;
	}
	snprintf(name, sizeof(name), "persona-%s", wanted[number]);
	platform = platform_device_register_simple(name, PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(platform))
		return PTR_ERR(platform);
	platforms[number] = platform;
	/* No driver is bound to it, so what devm takes needs a group to be given back with. */
	if (!devres_open_group(&platform->dev, NULL, GFP_KERNEL)) {
		platform_device_unregister(platform);
		return -ENOMEM;
	}
	ret = persona_create(platform, kind);
	if (ret)
		persona_remove(number);
	return ret;
}

static void __exit persona_exit(void)
{
	while (wanted_count)
		persona_remove(--wanted_count);
}

static int __init persona_init(void)
{
	unsigned int number;
	int ret;

	for (number = 0; number < wanted_count; number++) {
		ret = persona_add(number);
		if (ret) {
			wanted_count = number;
			persona_exit();
			return ret;
		}
	}
	return 0;
}

module_init(persona_init);
module_exit(persona_exit);
MODULE_DESCRIPTION("DRM devices that each follow one rule of a real driver");
MODULE_LICENSE("GPL");
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
MODULE_IMPORT_NS(DMA_BUF);
#else
MODULE_IMPORT_NS("DMA_BUF");
#endif
