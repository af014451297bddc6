/*
 * The 4-ary heap of timers. It knows nothing of clocks, states and locks: its caller holds the list's
 * lock. Invariant: no entry is before its parent, where "before" means an earlier deadline, or an equal
 * one and a smaller order; and each entry's timer knows the entry's index.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/timer_heap.h"

#include <errno.h>

#include "core/alloc.h"

#define ARITY 4
#define FIRST_CAPACITY 8
#define LOOKED_AT 32 /* entries, at most, that aio__timer_heap_latest() looks at */

static inline bool before(const AioTimerEntry *a, const AioTimerEntry *b)
{
    if (a->deadline != b->deadline) {
        return a->deadline < b->deadline;
    }
    return a->timer->order < b->timer->order;
}

static inline void put(AioTimerHeap *heap, size_t index, AioTimerEntry entry)
{
    heap->entries[index] = entry;
    entry.timer->place = index;
}

/* Find the place of `entry` from the hole at `index` towards the root. */
static void sift_up(AioTimerHeap *heap, size_t index, AioTimerEntry entry)
{
    while (index > 0) {
        size_t parent = (index - 1) / ARITY;
        if (!before(&entry, &heap->entries[parent])) {
            break;
        }
        put(heap, index, heap->entries[parent]);
        index = parent;
    }
    put(heap, index, entry);
}

/* The first in order of `count` entries from `index` on. */
static size_t first_of(const AioTimerEntry *entries, size_t index, size_t count)
{
    size_t best = index;
    for (size_t i = index + 1; i < index + count; i++) {
        if (before(&entries[i], &entries[best])) {
            best = i;
        }
    }
    return best;
}

/* The same of four, without branches that depend on their order: no processor could foresee them. */
static inline size_t first_of_four(const AioTimerEntry *entries, size_t index)
{
    const AioTimerEntry *e = &entries[index];
    uint64_t a = e[0].deadline, b = e[1].deadline, c = e[2].deadline, d = e[3].deadline;
    size_t low = index + (b < a);
    size_t high = index + 2 + (d < c);
    uint64_t lower = b < a ? b : a;
    uint64_t higher = d < c ? d : c;
    if ((a == b) | (c == d) | (lower == higher)) {
        return first_of(entries, index, ARITY);
    }
    return higher < lower ? high : low;
}

/* Find the place of `entry` from the hole at `index` towards the leaves. */
static void sift_down(AioTimerHeap *heap, size_t index, AioTimerEntry entry)
{
    const AioTimerEntry *entries = heap->entries;
    size_t count = heap->count;
    for (size_t first; (first = index * ARITY + 1) < count;) {
        size_t best = first + ARITY <= count ? first_of_four(entries, first)
                                             : first_of(entries, first, count - first);
        if (!before(&entries[best], &entry)) {
            break;
        }
        put(heap, index, entries[best]);
        index = best;
    }
    put(heap, index, entry);
}

static void sift(AioTimerHeap *heap, size_t index, AioTimerEntry entry)
{
    if (index > 0 && before(&entry, &heap->entries[(index - 1) / ARITY])) {
        sift_up(heap, index, entry);
    } else {
        sift_down(heap, index, entry);
    }
}

int aio__timer_heap_grow(AioTimerHeap *heap)
{
    size_t capacity = heap->capacity + heap->capacity / 2;
    if (capacity < FIRST_CAPACITY) {
        capacity = FIRST_CAPACITY;
    }
    AioTimerEntry *entries = NULL;
    if (capacity <= SIZE_MAX / sizeof(*entries)) {
        entries = aio__realloc(heap->entries, capacity * sizeof(*entries));
    }
    if (!entries) {
        return -ENOMEM;
    }
    heap->entries = entries;
    heap->capacity = capacity;
    return 0;
}

void aio__timer_heap_insert(AioTimerHeap *heap, AioTimer *timer, uint64_t deadline)
{
    size_t index = heap->count++;
    if (heap->parked > 0) {
        put(heap, index + heap->parked, heap->entries[index]);
    }
    sift_up(heap, index, (AioTimerEntry){.deadline = deadline, .timer = timer});
}

void aio__timer_heap_move(AioTimerHeap *heap, AioTimer *timer, uint64_t deadline)
{
    sift(heap, timer->place, (AioTimerEntry){.deadline = deadline, .timer = timer});
}

/* Make the heap shorter by its last entry, which is returned. */
static inline AioTimerEntry shorten(AioTimerHeap *heap)
{
    AioTimerEntry last = heap->entries[--heap->count];
    if (heap->parked > 0) {
        put(heap, heap->count, heap->entries[heap->count + heap->parked]);
    }
    return last;
}

AioTimerEntry aio__timer_heap_take(AioTimerHeap *heap)
{
    AioTimerEntry first = heap->entries[0];
    AioTimerEntry last = shorten(heap);
    if (heap->count > 0) {
        sift_down(heap, 0, last);
    }
    return first;
}

void aio__timer_heap_remove(AioTimerHeap *heap, AioTimer *timer)
{
    size_t index = timer->place;
    AioTimerEntry last = shorten(heap);
    if (index < heap->count) {
        sift(heap, index, last);
    }
}

void aio__timer_heap_park(AioTimerHeap *heap, AioTimer *timer, uint64_t deadline)
{
    put(heap, heap->count + heap->parked++, (AioTimerEntry){.deadline = deadline, .timer = timer});
}

void aio__timer_heap_remove_parked(AioTimerHeap *heap, AioTimer *timer)
{
    put(heap, timer->place, heap->entries[heap->count + --heap->parked]);
}

AioTimer *aio__timer_heap_unpark(AioTimerHeap *heap)
{
    size_t index = heap->count++;
    heap->parked--;
    AioTimerEntry entry = heap->entries[index];
    sift_up(heap, index, entry);
    return entry.timer;
}

uint64_t aio__timer_heap_latest(const AioTimerHeap *heap, uint64_t (*latest)(const AioTimerEntry *))
{
    size_t waiting[LOOKED_AT * ARITY];
    size_t used = 0;
    unsigned looked_at = 0;
    uint64_t best = UINT64_MAX;
    if (heap->count > 0) {
        waiting[used++] = 0;
    }
    /* A subtree whose root is due after the best moment so far can't hold a better one. */
    while (used > 0) {
        size_t index = waiting[--used];
        const AioTimerEntry *entry = &heap->entries[index];
        if (entry->deadline >= best) {
            continue;
        }
        if (looked_at++ >= LOOKED_AT) {
            best = entry->deadline; /* no timer below can ask for an earlier moment than that */
            continue;
        }
        uint64_t moment = latest(entry);
        if (moment < best) {
            best = moment;
        }
        for (size_t i = index * ARITY + 1; i <= index * ARITY + ARITY && i < heap->count; i++) {
            waiting[used++] = i;
        }
    }
    return best;
}

uint64_t aio__timer_heap_earliest(const AioTimerHeap *heap, unsigned without)
{
    uint64_t best = UINT64_MAX;
    for (size_t i = 0; i < heap->count + heap->parked; i++) {
        const AioTimerEntry *entry = &heap->entries[i];
        if (entry->deadline < best && !(entry->timer->attributes & without)) {
            best = entry->deadline;
        }
    }
    return best;
}

void aio__timer_heap_free(AioTimerHeap *heap)
{
    aio__free(heap->entries);
    *heap = (AioTimerHeap){.entries = NULL};
}
