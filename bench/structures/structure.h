/*
 * What timer_structures.c asks of a structure that keeps timers, so that it can run the same work on
 * each. A structure keeps ordered what it can: exact ones expire in the order of deadlines, and equal
 * deadlines in the order of arming.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_BENCH_STRUCTURE_H
#define AIOCTX_BENCH_STRUCTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aioctx/timer.h"

/* A timer, with room for what any of the structures keeps in it: 64 bytes for all, so that caches are alike. */
typedef struct Item {
    union {
        struct {
            uint64_t order;
            int64_t deadline;
            size_t index;
            struct Item *link[3];
        };
        AioTimer timer;
    };
    unsigned hits;
} Item;

typedef struct Structure {
    const char *name;
    bool exact;        /* expires in order, to the nanosecond */
    size_t item_bytes; /* of an Item's fields, those that it uses */
    void *(*create)(size_t capacity);
    void (*destroy)(void *self);
    void (*arm)(void *self, Item *item, int64_t deadline);
    void (*move)(void *self, Item *item, int64_t deadline);
    void (*cancel)(void *self, Item *item);
    /* Expire all that is due at `now`: count each one's hit. Returns how many. */
    size_t (*expire)(void *self, int64_t now);
    /* A run that finds nothing due. */
    size_t (*idle)(void *self);
    size_t (*shared_bytes)(void *self, size_t items);
} Structure;

/* The functions go by the same names in the file of each structure. */
#define STRUCTURE_FUNCTIONS                                                                        \
    .create = create, .destroy = destroy, .arm = arm, .move = move, .cancel = cancel,              \
    .expire = expire, .idle = idle, .shared_bytes = shared_bytes

extern const Structure structure_heap2, structure_heap4, structure_heap4_line,
    structure_heap4_entry, structure_heap8_keys, structure_library, structure_pairing,
    structure_wheel;

#endif
