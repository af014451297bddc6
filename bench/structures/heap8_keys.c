/*
 * An implicit 8-ary heap with the keys in an array of their own, so that the keys of a node's children
 * fill one cache line; the timers are in a second array.
 *
 * SPDX-License-Identifier: MIT
 */
#include "structure.h"

#include <stdlib.h>

#define ARITY 8

typedef struct Heap {
    int64_t *keys; /* so placed that keys[1] begins a cache line */
    Item **items;
    void *key_memory;
    size_t count;
    uint64_t order;
} Heap;

typedef struct Entry {
    int64_t key;
    Item *item;
} Entry;

static void *create(size_t capacity)
{
    Heap *heap = calloc(1, sizeof(*heap));
    heap->key_memory = malloc((capacity + 16) * sizeof(int64_t) + 64);
    uintptr_t at = ((uintptr_t)heap->key_memory + 63) & ~(uintptr_t)63;
    heap->keys = (int64_t *)(at + 64 - sizeof(int64_t));
    heap->items = malloc(capacity * sizeof(Item *));
    return heap;
}

static void destroy(void *self)
{
    Heap *heap = self;
    free(heap->key_memory);
    free(heap->items);
    free(heap);
}

static inline bool before(const Heap *heap, Entry entry, size_t index)
{
    if (entry.key != heap->keys[index]) {
        return entry.key < heap->keys[index];
    }
    return entry.item->order < heap->items[index]->order;
}

static inline void put(Heap *heap, size_t index, Entry entry)
{
    heap->keys[index] = entry.key;
    heap->items[index] = entry.item;
    entry.item->index = index;
}

static inline Entry get(const Heap *heap, size_t index)
{
    return (Entry){.key = heap->keys[index], .item = heap->items[index]};
}

static void up(Heap *heap, size_t index, Entry entry)
{
    while (index > 0) {
        size_t parent = (index - 1) / ARITY;
        if (!before(heap, entry, parent)) {
            break;
        }
        put(heap, index, get(heap, parent));
        index = parent;
    }
    put(heap, index, entry);
}

static void down(Heap *heap, size_t index, Entry entry)
{
    for (;;) {
        size_t first = index * ARITY + 1;
        if (first >= heap->count) {
            break;
        }
        size_t end = first + ARITY < heap->count ? first + ARITY : heap->count;
        size_t best = first;
        for (size_t i = first + 1; i < end; i++) {
            if (heap->keys[i] < heap->keys[best] ||
                (heap->keys[i] == heap->keys[best] &&
                 heap->items[i]->order < heap->items[best]->order)) {
                best = i;
            }
        }
        if (before(heap, entry, best)) {
            break;
        }
        put(heap, index, get(heap, best));
        index = best;
    }
    put(heap, index, entry);
}

static void arm(void *self, Item *item, int64_t deadline)
{
    Heap *heap = self;
    item->order = ++heap->order;
    up(heap, heap->count++, (Entry){.key = deadline, .item = item});
}

static void replace(Heap *heap, size_t index, Entry entry)
{
    if (index > 0 && before(heap, entry, (index - 1) / ARITY)) {
        up(heap, index, entry);
    } else {
        down(heap, index, entry);
    }
}

static void move(void *self, Item *item, int64_t deadline)
{
    Heap *heap = self;
    item->order = ++heap->order;
    replace(heap, item->index, (Entry){.key = deadline, .item = item});
}

static void cancel(void *self, Item *item)
{
    Heap *heap = self;
    Entry last = get(heap, --heap->count);
    if (last.item != item) {
        replace(heap, item->index, last);
    }
}

static size_t expire(void *self, int64_t now)
{
    Heap *heap = self;
    size_t ran = 0;
    while (heap->count > 0 && heap->keys[0] <= now) {
        Item *item = heap->items[0];
        Entry last = get(heap, --heap->count);
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

const Structure structure_heap8_keys = {
    .name = "heap8_keys",
    .exact = true,
    .item_bytes = sizeof(size_t) + sizeof(uint64_t),
    STRUCTURE_FUNCTIONS,
};
