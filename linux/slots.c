/*
 * The table of slots: one array and a list of free ones within it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "linux/slots.h"

#include <errno.h>

#include "core/alloc.h"

#define FIRST_SLOTS 16

static int grow(AioSlots *self)
{
    uint32_t count = self->count ? self->count * 2 : FIRST_SLOTS;
    AioSlot *slots = aio__realloc(self->slots, count * sizeof(*slots));
    if (!slots) {
        return -ENOMEM;
    }
    for (uint32_t i = self->count; i < count; i++) {
        slots[i] = (AioSlot){.state = AIO_SLOT_FREE, .next_free = i + 1};
    }
    self->slots = slots;
    self->first_free = self->count;
    self->count = count;
    return 0;
}

int aio__slot_take(AioSlots *slots, AioWatch *watch)
{
    if (slots->first_free == slots->count && grow(slots) < 0) {
        return -ENOMEM;
    }
    watch->own = slots->first_free;
    AioSlot *slot = aio__slot_of(slots, watch);
    slots->first_free = slot->next_free;
    slot->state = AIO_SLOT_KERNEL;
    slot->watch = watch;
    watch->state = AIO_WATCH_ARMED;
    return 0;
}

void aio__slot_release(AioSlots *slots, AioWatch *watch)
{
    AioSlot *slot = aio__slot_of(slots, watch);
    aio__node_unlink(&watch->own_node);
    slot->state = AIO_SLOT_FREE;
    slot->generation++;
    slot->watch = NULL;
    slot->next_free = slots->first_free;
    slots->first_free = (uint32_t)watch->own;
    watch->state = AIO_WATCH_IDLE;
    watch->wanted = 0;
}
