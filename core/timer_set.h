/*
 * Armed timers in the order in which they are to run. Putting one in never fails: where memory is
 * refused, timers wait in an intrusive list.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_TIMER_SET_H
#define AIOCTX_CORE_TIMER_SET_H

#include "core/timer_heap.h"

/* No deadline: later than every time that a clock can show. */
#define AIO_TIMERS_NONE UINT64_MAX

/*
 * Where a timer is.
 *
 *            put                         take, remove
 *   IDLE ──────────▶ HEAP ──────────────────────────────▶ IDLE
 *    │               │  ▲ ▲                                ▲
 *    │     by take   ▼  │ │ give_back                      │
 *    │              DUE ──┘ ──────────take, remove─────────┘
 *    │ put: later       │
 *    ├──────────▶ PARKED┘ bring_back
 *    │ put, memory refused
 *    └──────────▶ OVERFLOWN ─────▶ HEAP: a place became free, or memory is granted again
 *                 OVERFLOWN_LATER ──bring_back──▶ OVERFLOWN
 *
 * All are removed, and OVERFLOWN taken, too; PARKED and OVERFLOWN_LATER are those put for later.
 */
enum {
    AIO_TIMER_IDLE,
    AIO_TIMER_HEAP,            /* place: index of its entry */
    AIO_TIMER_DUE,             /* place: index in `due` */
    AIO_TIMER_PARKED,          /* place: index of its entry */
    AIO_TIMER_OVERFLOWN,       /* place: the next one; order: the deadline */
    AIO_TIMER_OVERFLOWN_LATER, /* the same */
};

/*
 * So many due timers leave the heap in one go, to be handed out one by one: between two callbacks the list's
 * lock is dropped, and an atomic operation has to wait for all the writes of a change in a large heap.
 */
#define AIO_TIMERS_BATCH 16

typedef struct AioTimerSet {
    AioTimerHeap heap; /* with a place kept free for each that is due */
    unsigned due_next; /* to be handed out */
    unsigned due_end;
    AioTimerEntry due[AIO_TIMERS_BATCH]; /* in order; timer NULL: was removed */
    AioTimer *overflow;      /* linked by `place`, oldest first: put while memory was refused */
    AioTimer *overflow_last; /* linked */
    uint64_t order;          /* of the timer that was put last */
    uint64_t aside_earliest; /* not after any deadline of those that are parked or overflown */
} AioTimerSet;

void aio__timer_set_init(AioTimerSet *set);

/* Nothing is armed. */
void aio__timer_set_destroy(AioTimerSet *set);

/* A timer's slack: 11 bits of mantissa, 5 of exponent. */
static inline uint64_t aio__timer_slack_ns(const AioTimer *timer)
{
    return (uint64_t)(timer->slack >> 5) << (timer->slack & 31);
}

/* Not after any deadline. Exact where nothing is due in a run under way and nothing is put for later. */
static inline uint64_t aio__timer_set_earliest(const AioTimerSet *set)
{
    uint64_t first = set->heap.count > 0 ? set->heap.entries[0].deadline : AIO_TIMERS_NONE;
    if (set->due_next < set->due_end) {
        first = set->due[set->due_next].deadline;
    }
    return set->aside_earliest < first ? set->aside_earliest : first;
}

static inline bool aio__timer_set_full(const AioTimerSet *set)
{
    return set->heap.count + set->heap.parked + (set->due_end - set->due_next) ==
           set->heap.capacity;
}

/* AIO_TIMERS_NONE where it is not armed. */
uint64_t aio__timer_set_deadline(const AioTimerSet *set, const AioTimer *timer);

/* The unusual cases of the two below. */
void aio__timer_set_put_slow(AioTimerSet *set, AioTimer *timer, uint64_t deadline, bool later);
void aio__timer_set_remove_slow(AioTimerSet *set, AioTimer *timer);

/*
 * Put a timer in, or move it, behind all with the same deadline. `later`: it is not taken before the next
 * aio__timer_set_bring_back().
 */
static inline void aio__timer_set_put(AioTimerSet *set, AioTimer *timer, uint64_t deadline,
                                      bool later)
{
    if (later || set->overflow) {
        aio__timer_set_put_slow(set, timer, deadline, later);
    } else if (timer->state == AIO_TIMER_HEAP) {
        timer->order = ++set->order;
        aio__timer_heap_move(&set->heap, timer, deadline);
    } else if (timer->state == AIO_TIMER_IDLE && !aio__timer_set_full(set)) {
        timer->order = ++set->order;
        timer->state = AIO_TIMER_HEAP;
        aio__timer_heap_insert(&set->heap, timer, deadline);
    } else {
        aio__timer_set_put_slow(set, timer, deadline, later);
    }
}

/* Nothing happens where it is not in. */
static inline void aio__timer_set_remove(AioTimerSet *set, AioTimer *timer)
{
    if (timer->state == AIO_TIMER_HEAP) {
        aio__timer_heap_remove(&set->heap, timer);
        timer->state = AIO_TIMER_IDLE;
    } else if (timer->state != AIO_TIMER_IDLE) {
        aio__timer_set_remove_slow(set, timer);
    }
}

/*
 * Take out the first that is due at `now`, or NULL. One that was put after `order` (a former value of
 * set->order) is put aside for later instead. After the last call of a run comes
 * aio__timer_set_give_back(); in between, what is put with a deadline up to `now` is put for later.
 */
AioTimer *aio__timer_set_take(AioTimerSet *set, uint64_t now, uint64_t order);

/* Let those that are due and were not handed out take part in the next run. */
void aio__timer_set_give_back(AioTimerSet *set);

/* The same, and all that was put for later. */
void aio__timer_set_bring_back(AioTimerSet *set);

/* The moment until which a wait may last so that no timer is later than its slack allows. Bounded work. */
uint64_t aio__timer_set_latest(const AioTimerSet *set);

/* The earliest deadline of those without any of the attributes. O(n). */
uint64_t aio__timer_set_earliest_without(const AioTimerSet *set, unsigned attributes);

#endif
