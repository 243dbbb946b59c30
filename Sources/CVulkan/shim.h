#ifndef PRIME_CVULKAN_SHIM_H
#define PRIME_CVULKAN_SHIM_H

/*
 * Vulkan, loaded at run time: reading a dma-buf by a copy, and drawing into one. The functions answer 0, or a VkResult with
 * the call's name in `operation`.
 *
 * Structures and the chains behind them are filled here; who owns what is the caller's.
 */

#include "calls.h"
#include "devices.h"
#include "memory.h"
#include "work.h"

#endif
