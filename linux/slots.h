/*
 * A table of watches by number, so that what the kernel says of a number can be told from what it says of the
 * one that had it before. Taking a slot may allocate; nothing else does.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_LINUX_SLOTS_H
#define AIOCTX_LINUX_SLOTS_H

#include "core/poller.h"

/*
 *   FREE --take--> KERNEL <--------> ALWAYS        both --release--> FREE
 *                        the poller
 */
typedef enum AioSlotState {
    AIO_SLOT_FREE,   /* `next_free` says which is the next */
    AIO_SLOT_KERNEL, /* the kernel reports it */
    AIO_SLOT_ALWAYS, /* the kernel refuses it, since it is always ready */
} AioSlotState;

typedef struct AioSlot {
    AioSlotState state;
    uint32_t generation; /* changes when what the kernel knows of the slot is void */
    uint32_t next_free;
    AioWatch *watch; /* borrowed until it is released */
} AioSlot;

typedef struct AioSlots {
    AioSlot *slots; /* owned; a watch's `own` is its index */
    uint32_t count;
    uint32_t first_free; /* count: none */
} AioSlots;

static inline AioSlot *aio__slot_of(const AioSlots *slots, const AioWatch *watch)
{
    return &slots->slots[watch->own];
}

/* What the kernel is to hand back for a watch that has a slot. */
static inline uint64_t aio__slot_tag(const AioSlots *slots, const AioWatch *watch)
{
    return (uint64_t)aio__slot_of(slots, watch)->generation << 32 | watch->own;
}

/* The watch that a tag was made for, or NULL where it is void. */
static inline AioWatch *aio__slot_watch(const AioSlots *slots, uint64_t tag)
{
    const AioSlot *slot = &slots->slots[(uint32_t)tag];
    bool valid = slot->state == AIO_SLOT_KERNEL && slot->generation == (uint32_t)(tag >> 32);
    return valid ? slot->watch : NULL;
}

/* Give a watch a slot: it is ARMED then. 0 or -ENOMEM. */
int aio__slot_take(AioSlots *slots, AioWatch *watch);

/* Take it back: the watch is IDLE then, wants nothing, and its tag is void. */
void aio__slot_release(AioSlots *slots, AioWatch *watch);

#endif
