/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The engine of a persona, for probes: copies bytes out of an object, or into it, as a device does: through the mapping of the
 * attachment, which an importer that has none yet makes now. It looks into no cache, and waits for no bracket.
 */
#ifndef PERSONA_UAPI_H
#define PERSONA_UAPI_H

#ifdef __KERNEL__
#include <drm/drm.h>
#else
#include <drm.h>
#endif

struct drm_persona_engine {
	__u32 handle;
	/* 1 writes into the object, 0 reads from it. */
	__u32 write;
	__u64 offset;
	__u64 size;
	/* A pointer. */
	__u64 data;
};

#define DRM_PERSONA_ENGINE 0
#define DRM_IOCTL_PERSONA_ENGINE DRM_IOW(DRM_COMMAND_BASE + DRM_PERSONA_ENGINE, struct drm_persona_engine)

#endif
