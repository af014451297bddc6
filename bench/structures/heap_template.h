/*
 * An implicit heap with cached keys, for several arities and layouts. The file that includes it defines
 *  HEAP(name)    the name of a function or type
 *  ARITY         children of a node
 *  IN_ENTRY      1: the arming order is kept in the entry (24 bytes), 0: in the timer (16 bytes)
 *  LINE          1: the children of a node share a cache line
 *
 * SPDX-License-Identifier: MIT
 */
typedef struct HEAP(Entry) {
    int64_t key;
    Item *item;
#if IN_ENTRY
    uint64_t order;
#endif
} HEAP(Entry);

typedef struct HEAP(Heap) {
    HEAP(Entry) * entries;
    size_t count;
    void *memory;
    size_t bytes;
    uint64_t order;
} HEAP(Heap);

static inline uint64_t HEAP(order)(const HEAP(Entry) * entry)
{
#if IN_ENTRY
    return entry->order;
#else
    return entry->item->order;
#endif
}

static inline bool HEAP(before)(const HEAP(Entry) * a, const HEAP(Entry) * b)
{
    if (a->key != b->key) {
        return a->key < b->key;
    }
    return HEAP(order)(a) < HEAP(order)(b);
}

static void *HEAP(create)(size_t capacity)
{
    HEAP(Heap) *heap = calloc(1, sizeof(*heap));
    heap->bytes = (capacity + 64) * sizeof(HEAP(Entry)) + 64;
    heap->memory = malloc(heap->bytes);
    uintptr_t at = (uintptr_t)heap->memory;
#if LINE
    at = ((at + 63) & ~(uintptr_t)63) + 64 - sizeof(HEAP(Entry));
#endif
    heap->entries = (HEAP(Entry) *)at;
    return heap;
}

static void HEAP(destroy)(void *self)
{
    HEAP(Heap) *heap = self;
    free(heap->memory);
    free(heap);
}

static inline void HEAP(put)(HEAP(Heap) * heap, size_t index, HEAP(Entry) entry)
{
    heap->entries[index] = entry;
    entry.item->index = index;
}

static void HEAP(up)(HEAP(Heap) * heap, size_t index, HEAP(Entry) entry)
{
    while (index > 0) {
        size_t parent = (index - 1) / ARITY;
        if (!HEAP(before)(&entry, &heap->entries[parent])) {
            break;
        }
        HEAP(put)(heap, index, heap->entries[parent]);
        index = parent;
    }
    HEAP(put)(heap, index, entry);
}

static void HEAP(down)(HEAP(Heap) * heap, size_t index, HEAP(Entry) entry)
{
    HEAP(Entry) *entries = heap->entries;
    for (;;) {
        size_t first = index * ARITY + 1;
        if (first >= heap->count) {
            break;
        }
        size_t end = first + ARITY < heap->count ? first + ARITY : heap->count;
        size_t best = first;
        for (size_t i = first + 1; i < end; i++) {
            if (HEAP(before)(&entries[i], &entries[best])) {
                best = i;
            }
        }
        if (!HEAP(before)(&entries[best], &entry)) {
            break;
        }
        HEAP(put)(heap, index, entries[best]);
        index = best;
    }
    HEAP(put)(heap, index, entry);
}

static void HEAP(arm)(void *self, Item *item, int64_t deadline)
{
    HEAP(Heap) *heap = self;
    HEAP(Entry) entry = {.key = deadline, .item = item};
    item->order = ++heap->order;
#if IN_ENTRY
    entry.order = item->order;
#endif
    HEAP(up)(heap, heap->count++, entry);
}

static void HEAP(replace)(HEAP(Heap) * heap, size_t index, HEAP(Entry) entry)
{
    if (index > 0 && HEAP(before)(&entry, &heap->entries[(index - 1) / ARITY])) {
        HEAP(up)(heap, index, entry);
    } else {
        HEAP(down)(heap, index, entry);
    }
}

static void HEAP(move)(void *self, Item *item, int64_t deadline)
{
    HEAP(Heap) *heap = self;
    HEAP(Entry) entry = {.key = deadline, .item = item};
    item->order = ++heap->order;
#if IN_ENTRY
    entry.order = item->order;
#endif
    HEAP(replace)(heap, item->index, entry);
}

static void HEAP(cancel)(void *self, Item *item)
{
    HEAP(Heap) *heap = self;
    size_t index = item->index;
    HEAP(Entry) last = heap->entries[--heap->count];
    if (last.item != item) {
        HEAP(replace)(heap, index, last);
    }
}

static size_t HEAP(expire)(void *self, int64_t now)
{
    HEAP(Heap) *heap = self;
    size_t ran = 0;
    while (heap->count > 0 && heap->entries[0].key <= now) {
        Item *item = heap->entries[0].item;
        HEAP(Entry) last = heap->entries[--heap->count];
        if (heap->count > 0) {
            HEAP(down)(heap, 0, last);
        }
        item->hits++;
        ran++;
    }
    return ran;
}

static size_t HEAP(idle)(void *self)
{
    return HEAP(expire)(self, 0);
}

static size_t HEAP(shared_bytes)(void *self, size_t items)
{
    (void)self;
    return items * sizeof(HEAP(Entry));
}
