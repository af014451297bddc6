/*
 * An array of handles and their watches. The last one fills the place of one that leaves; each look reports all that
 * is signalled, once, since the system's wait only tells of the first.
 *
 * SPDX-License-Identifier: MIT
 */
#include "win32/direct_set.h"

bool aio__direct_add(AioDirectSet *set, AioWatch *watch, AioObjectKind kind)
{
    if (set->count == AIO_DIRECT_MAX) {
        return false;
    }
    watch->own = set->count;
    set->objects[set->count++] =
        (AioObject){.watch = watch, .handle = (HANDLE)watch->handle, .kind = kind};
    return true;
}

static void drop(AioDirectSet *set, size_t place)
{
    set->objects[place] = set->objects[--set->count];
    set->objects[place].watch->own = place;
}

bool aio__direct_remove(AioDirectSet *set, AioWatch *watch)
{
    if (watch->own >= set->count || set->objects[watch->own].watch != watch) {
        return false;
    }
    drop(set, (size_t)watch->own);
    return true;
}

DWORD aio__direct_handles(const AioDirectSet *set, HANDLE *handles)
{
    for (size_t i = 0; i < set->count; i++) {
        handles[i] = set->objects[i].handle;
    }
    return (DWORD)set->count;
}

/* Those in [from, to). */
static int probe(const AioDirectSet *set, size_t from, size_t to, AioList *ready)
{
    const AioObject *objects[AIO_DIRECT_MAX];
    for (size_t i = from; i < to; i++) {
        objects[i - from] = &set->objects[i];
    }
    return aio__objects_probe(objects, to - from, ready);
}

int aio__direct_look(AioDirectSet *set, AioList *ready)
{
    size_t first = set->count ? set->first++ % set->count : 0;
    int tail = probe(set, first, set->count, ready);
    int head = tail < 0 ? tail : probe(set, 0, first, ready);
    return head < 0 ? head : tail + head;
}

int aio__direct_told(AioDirectSet *set, size_t index, AioList *ready)
{
    aio__object_report(&set->objects[index], ready);
    int more = probe(set, index + 1, set->count, ready);
    return more < 0 ? more : more + 1;
}

void aio__direct_drop_bad(AioDirectSet *set, AioList *ready, AioList *lost)
{
    for (size_t i = 0; i < set->count;) {
        AioWatch *watch = set->objects[i].watch;
        int error = aio__object_blame(&set->objects[i], ready);
        if (!error) {
            i++;
            continue;
        }
        drop(set, i);
        watch->error = error;
        aio__node_unlink(&watch->own_node);
        aio__list_push(lost, &watch->own_node);
    }
}
