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

typedef struct AioTimerSet {
    AioTimerHeap heap;
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

/* Not after any deadline; exact but for a moment after one that was put for later was removed. */
static inline uint64_t aio__timer_set_earliest(const AioTimerSet *set)
{
    uint64_t first = set->heap.count > 0 ? set->heap.entries[0].deadline : AIO_TIMERS_NONE;
    return set->aside_earliest < first ? set->aside_earliest : first;
}

/* AIO_TIMERS_NONE where it is not armed. */
uint64_t aio__timer_set_deadline(const AioTimerSet *set, const AioTimer *timer);

/*
 * Put a timer in, or move it, behind all with the same deadline. `later`: it is not taken before the next
 * aio__timer_set_bring_back().
 */
void aio__timer_set_put(AioTimerSet *set, AioTimer *timer, uint64_t deadline, bool later);

/* Nothing happens where it is not in. */
void aio__timer_set_remove(AioTimerSet *set, AioTimer *timer);

/*
 * Take out the first that is due at `now`, or NULL. One that was put after `order` (a former value of
 * set->order) is put aside for later instead.
 */
AioTimer *aio__timer_set_take(AioTimerSet *set, uint64_t now, uint64_t order);

void aio__timer_set_bring_back(AioTimerSet *set);

/* The moment until which a wait may last so that no timer is later than its slack allows. Bounded work. */
uint64_t aio__timer_set_latest(const AioTimerSet *set);

/* The earliest deadline of those without any of the attributes. O(n). */
uint64_t aio__timer_set_earliest_without(const AioTimerSet *set, unsigned attributes);

#endif
