/*
 * A hierarchical wheel of 64 slots a level, with ticks of 1 ms: O(1) to arm and cancel. It knows times to
 * the tick only (so that timers are up to 1 ms late), runs the timers of a tick in any order, and has no
 * exact earliest deadline. It is here as the price of being exact.
 *
 * SPDX-License-Identifier: MIT
 */
#include "structure.h"

#include <stdlib.h>

#define BITS 6
#define SLOTS (1 << BITS)
#define LEVELS 8
#define TICK_NS 1000000

enum { NEXT, PREV };

typedef struct Wheel {
    uint64_t tick; /* everything before it has expired */
    uint64_t used[LEVELS];
    Item heads[LEVELS][SLOTS];
} Wheel;

static void *create(size_t capacity)
{
    (void)capacity;
    Wheel *wheel = calloc(1, sizeof(*wheel));
    for (int level = 0; level < LEVELS; level++) {
        for (int slot = 0; slot < SLOTS; slot++) {
            Item *head = &wheel->heads[level][slot];
            head->link[NEXT] = head->link[PREV] = head;
        }
    }
    return wheel;
}

static void destroy(void *self)
{
    free(self);
}

static void insert(Wheel *wheel, Item *item)
{
    uint64_t tick = ((uint64_t)item->deadline + TICK_NS - 1) / TICK_NS;
    if (tick < wheel->tick) {
        tick = wheel->tick;
    }
    uint64_t differ = tick ^ wheel->tick;
    unsigned level = differ ? (63u - (unsigned)__builtin_clzll(differ)) / BITS : 0;
    if (level >= LEVELS) {
        level = LEVELS - 1;
    }
    unsigned slot = (unsigned)(tick >> (level * BITS)) % SLOTS;
    Item *head = &wheel->heads[level][slot];
    item->index = level * SLOTS + slot;
    item->link[NEXT] = head;
    item->link[PREV] = head->link[PREV];
    head->link[PREV]->link[NEXT] = item;
    head->link[PREV] = item;
    wheel->used[level] |= (uint64_t)1 << slot;
}

static void arm(void *self, Item *item, int64_t deadline)
{
    item->deadline = deadline;
    insert(self, item);
}

static void cancel(void *self, Item *item)
{
    Wheel *wheel = self;
    Item *next = item->link[NEXT];
    Item *prev = item->link[PREV];
    next->link[PREV] = prev;
    prev->link[NEXT] = next;
    if (next == prev) { /* the head is alone */
        wheel->used[item->index / SLOTS] &= ~((uint64_t)1 << (item->index % SLOTS));
    }
}

static void move(void *self, Item *item, int64_t deadline)
{
    cancel(self, item);
    arm(self, item, deadline);
}

/* Spread what a level's present slot holds over the levels below. */
static void cascade(Wheel *wheel, unsigned level)
{
    unsigned slot = (unsigned)(wheel->tick >> (level * BITS)) % SLOTS;
    Item *head = &wheel->heads[level][slot];
    Item *item = head->link[NEXT];
    head->link[NEXT] = head->link[PREV] = head;
    wheel->used[level] &= ~((uint64_t)1 << slot);
    while (item != head) {
        Item *next = item->link[NEXT];
        insert(wheel, item);
        item = next;
    }
}

static size_t expire(void *self, int64_t now)
{
    Wheel *wheel = self;
    uint64_t end = (uint64_t)now / TICK_NS;
    size_t ran = 0;
    while (wheel->tick <= end) {
        unsigned slot = (unsigned)wheel->tick % SLOTS;
        uint64_t ahead = wheel->used[0] >> slot;
        if (!ahead) { /* nothing in this turn of the lowest level: on to the next turn */
            uint64_t turn = (wheel->tick | (SLOTS - 1)) + 1;
            if (turn > end + 1) {
                wheel->tick = end + 1;
                break;
            }
            wheel->tick = turn;
            for (unsigned level = 1; level < LEVELS; level++) {
                cascade(wheel, level);
                if ((wheel->tick >> (level * BITS)) % SLOTS) {
                    break;
                }
            }
            continue;
        }
        wheel->tick += (unsigned)__builtin_ctzll(ahead);
        if (wheel->tick > end) {
            wheel->tick = end + 1;
            break;
        }
        Item *head = &wheel->heads[0][wheel->tick % SLOTS];
        while (head->link[NEXT] != head) {
            Item *item = head->link[NEXT];
            cancel(wheel, item);
            item->hits++;
            ran++;
        }
        wheel->tick++;
        if (wheel->tick % SLOTS == 0) {
            for (unsigned level = 1; level < LEVELS; level++) {
                cascade(wheel, level);
                if ((wheel->tick >> (level * BITS)) % SLOTS) {
                    break;
                }
            }
        }
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
    return sizeof(Wheel);
}

const Structure structure_wheel = {
    .name = "wheel",
    .exact = false,
    .item_bytes = 2 * sizeof(Item *) + sizeof(int64_t) + sizeof(size_t),
    STRUCTURE_FUNCTIONS,
};
