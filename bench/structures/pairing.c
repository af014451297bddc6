/*
 * A pairing heap: intrusive, so that it never needs memory, and O(1) to arm; a cancelled or expired
 * timer's children are paired up one by one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "structure.h"

#include <stdlib.h>

/* The links of an item. */
enum { CHILD, NEXT, PREV /* the sibling before, or the parent of a first child */ };

typedef struct Heap {
    Item *root;
    uint64_t order;
} Heap;

static void *create(size_t capacity)
{
    (void)capacity;
    return calloc(1, sizeof(Heap));
}

static void destroy(void *self)
{
    free(self);
}

static inline bool before(const Item *a, const Item *b)
{
    return a->deadline != b->deadline ? a->deadline < b->deadline : a->order < b->order;
}

/* Both are roots. */
static Item *meld(Item *a, Item *b)
{
    if (!a || !b) {
        return a ? a : b;
    }
    if (before(b, a)) {
        Item *swap = a;
        a = b;
        b = swap;
    }
    b->link[NEXT] = a->link[CHILD];
    if (b->link[NEXT]) {
        b->link[NEXT]->link[PREV] = b;
    }
    b->link[PREV] = a;
    a->link[CHILD] = b;
    return a;
}

static Item *combine(Item *first)
{
    Item *pairs = NULL; /* linked by PREV */
    while (first) {
        Item *second = first->link[NEXT];
        Item *rest = second ? second->link[NEXT] : NULL;
        first->link[NEXT] = first->link[PREV] = NULL;
        if (second) {
            second->link[NEXT] = second->link[PREV] = NULL;
        }
        Item *pair = meld(first, second);
        pair->link[PREV] = pairs;
        pairs = pair;
        first = rest;
    }
    Item *root = NULL;
    while (pairs) {
        Item *next = pairs->link[PREV];
        pairs->link[PREV] = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

static void arm(void *self, Item *item, int64_t deadline)
{
    Heap *heap = self;
    item->deadline = deadline;
    item->order = ++heap->order;
    item->link[CHILD] = item->link[NEXT] = item->link[PREV] = NULL;
    heap->root = meld(heap->root, item);
}

static void cancel(void *self, Item *item)
{
    Heap *heap = self;
    Item *children = combine(item->link[CHILD]);
    if (item == heap->root) {
        heap->root = children;
        return;
    }
    Item *prev = item->link[PREV];
    prev->link[prev->link[CHILD] == item ? CHILD : NEXT] = item->link[NEXT];
    if (item->link[NEXT]) {
        item->link[NEXT]->link[PREV] = prev;
    }
    heap->root = meld(heap->root, children);
}

static void move(void *self, Item *item, int64_t deadline)
{
    cancel(self, item);
    arm(self, item, deadline);
}

static size_t expire(void *self, int64_t now)
{
    Heap *heap = self;
    size_t ran = 0;
    while (heap->root && heap->root->deadline <= now) {
        Item *item = heap->root;
        heap->root = combine(item->link[CHILD]);
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
    (void)items;
    return 0;
}

const Structure structure_pairing = {
    .name = "pairing",
    .exact = true,
    .item_bytes = 3 * sizeof(Item *) + sizeof(int64_t) + sizeof(uint64_t),
    STRUCTURE_FUNCTIONS,
};
