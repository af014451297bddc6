/*
 * The order of a list's timers: a 4-ary implicit heap whose entries cache the deadlines. Equal deadlines
 * are ordered by AioTimer's `order`, which is looked at only then. Why this structure: docs/timers.md.
 *
 * Behind the heap, in the same array, stand the parked entries, in any order: timers that are kept out
 * of the heap for a while. Since both share the room, parking and unparking never need memory.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_TIMER_HEAP_H
#define AIOCTX_CORE_TIMER_HEAP_H

#include "aioctx/timer.h"

typedef struct AioTimerEntry {
    uint64_t deadline;
    AioTimer *timer; /* linked: timer->place is the entry's index */
} AioTimerEntry;

typedef struct AioTimerHeap {
    AioTimerEntry *entries; /* owned: `count` in the heap, then `parked` ones */
    size_t count;
    size_t parked;
    size_t capacity;
} AioTimerHeap;

/* Have room for more timers; 0 or -ENOMEM, with nothing changed. Amortised O(1). */
int aio__timer_heap_grow(AioTimerHeap *heap);

/* There is room; timer->order is set. */
void aio__timer_heap_insert(AioTimerHeap *heap, AioTimer *timer, uint64_t deadline);

/* The timer is in the heap; its order has changed already. */
void aio__timer_heap_move(AioTimerHeap *heap, AioTimer *timer, uint64_t deadline);

/* Take out the first. There is one. The timer is not looked at. */
AioTimerEntry aio__timer_heap_take(AioTimerHeap *heap);

/* The timer is in the heap. */
void aio__timer_heap_remove(AioTimerHeap *heap, AioTimer *timer);

/* There is room. */
void aio__timer_heap_park(AioTimerHeap *heap, AioTimer *timer, uint64_t deadline);

/* The timer is parked. */
void aio__timer_heap_remove_parked(AioTimerHeap *heap, AioTimer *timer);

/* Put one parked timer into the heap and return it. There is one. */
AioTimer *aio__timer_heap_unpark(AioTimerHeap *heap);

/* The moment until which a wait may last so that no timer in the heap is later than its slack. */
uint64_t aio__timer_heap_latest(const AioTimerHeap *heap,
                                uint64_t (*latest)(const AioTimerEntry *));

/* The earliest deadline of a timer without any of the attributes, UINT64_MAX: none. O(n) at worst. */
uint64_t aio__timer_heap_earliest(const AioTimerHeap *heap, unsigned without);

void aio__timer_heap_free(AioTimerHeap *heap);

#endif
