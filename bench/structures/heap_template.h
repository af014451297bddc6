/*
 * An implicit heap with cached keys, for several arities and layouts: all of a structure but its name. The
 * file that includes it defines
 *  ARITY         children of a node
 *  IN_ENTRY      1: the arming order is kept in the entry (24 bytes), 0: in the timer (16 bytes)
 *  LINE          1: the children of a node share a cache line
 *
 * SPDX-License-Identifier: MIT
 */
#include "structure.h"

#include <stdlib.h>

#if IN_ENTRY
#define ITEM_BYTES sizeof(size_t)
#else
#define ITEM_BYTES (sizeof(size_t) + sizeof(uint64_t))
#endif
#define HEAP_STRUCTURE .exact = true, .item_bytes = ITEM_BYTES, STRUCTURE_FUNCTIONS

typedef struct Entry {
    int64_t key;
    Item *item;
#if IN_ENTRY
    uint64_t order;
#endif
} Entry;

typedef struct Heap {
    Entry *entries;
    size_t count;
    void *memory;
    size_t bytes;
    uint64_t order;
} Heap;

static inline uint64_t order(const Entry *entry)
{
#if IN_ENTRY
    return entry->order;
#else
    return entry->item->order;
#endif
}

static inline bool before(const Entry *a, const Entry *b)
{
    if (a->key != b->key) {
        return a->key < b->key;
    }
    return order(a) < order(b);
}

static void *create(size_t capacity)
{
    Heap *heap = calloc(1, sizeof(*heap));
    heap->bytes = (capacity + 64) * sizeof(Entry) + 64;
    heap->memory = malloc(heap->bytes);
    uintptr_t at = (uintptr_t)heap->memory;
#if LINE
    at = ((at + 63) & ~(uintptr_t)63) + 64 - sizeof(Entry);
#endif
    heap->entries = (Entry *)at;
    return heap;
}

static void destroy(void *self)
{
    Heap *heap = self;
    free(heap->memory);
    free(heap);
}

static inline void put(Heap *heap, size_t index, Entry entry)
{
    heap->entries[index] = entry;
    entry.item->index = index;
}

static void up(Heap *heap, size_t index, Entry entry)
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

static void down(Heap *heap, size_t index, Entry entry)
{
    Entry *entries = heap->entries;
    for (;;) {
        size_t first = index * ARITY + 1;
        if (first >= heap->count) {
            break;
        }
        size_t end = first + ARITY < heap->count ? first + ARITY : heap->count;
        size_t best = first;
        for (size_t i = first + 1; i < end; i++) {
            if (before(&entries[i], &entries[best])) {
                best = i;
            }
        }
        if (!before(&entries[best], &entry)) {
            break;
        }
        put(heap, index, entries[best]);
        index = best;
    }
    put(heap, index, entry);
}

static void arm(void *self, Item *item, int64_t deadline)
{
    Heap *heap = self;
    Entry entry = {.key = deadline, .item = item};
    item->order = ++heap->order;
#if IN_ENTRY
    entry.order = item->order;
#endif
    up(heap, heap->count++, entry);
}

static void replace(Heap *heap, size_t index, Entry entry)
{
    if (index > 0 && before(&entry, &heap->entries[(index - 1) / ARITY])) {
        up(heap, index, entry);
    } else {
        down(heap, index, entry);
    }
}

static void move(void *self, Item *item, int64_t deadline)
{
    Heap *heap = self;
    Entry entry = {.key = deadline, .item = item};
    item->order = ++heap->order;
#if IN_ENTRY
    entry.order = item->order;
#endif
    replace(heap, item->index, entry);
}

static void cancel(void *self, Item *item)
{
    Heap *heap = self;
    size_t index = item->index;
    Entry last = heap->entries[--heap->count];
    if (last.item != item) {
        replace(heap, index, last);
    }
}

static size_t expire(void *self, int64_t now)
{
    Heap *heap = self;
    size_t ran = 0;
    while (heap->count > 0 && heap->entries[0].key <= now) {
        Item *item = heap->entries[0].item;
        Entry last = heap->entries[--heap->count];
        if (heap->count > 0) {
            down(heap, 0, last);
        }
        item->hits++;
        ran++;
    }
    return ran;
}

static size_t idle(void *self)
{
    return expire(self, 0);
}

static size_t shared_bytes(void *self, size_t items)
{
    (void)self;
    return items * sizeof(Entry);
}
