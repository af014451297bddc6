/*
 * A set of armed timers that never fails: the heap, the timers that wait outside of it for the next run,
 * and the list that holds what was armed while memory was refused. It knows nothing of clocks and threads:
 * its caller holds the list's lock and says what time it is.
 *
 * Invariant: equal deadlines leave the set in the order of arming. So all in the heap was armed before
 * all that is overflown, and as long as something is overflown, whatever is armed is overflown too.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/timer_set.h"

static uint64_t latest_of(const AioTimerEntry *entry)
{
    uint64_t moment = entry->deadline + aio__timer_slack_ns(entry->timer);
    return moment > INT64_MAX ? INT64_MAX : moment;
}

void aio__timer_set_init(AioTimerSet *set)
{
    *set = (AioTimerSet){.aside_earliest = AIO_TIMERS_NONE};
}

void aio__timer_set_destroy(AioTimerSet *set)
{
    aio__timer_heap_free(&set->heap);
}

uint64_t aio__timer_set_deadline(const AioTimerSet *set, const AioTimer *timer)
{
    switch (timer->state) {
    case AIO_TIMER_IDLE:
        return AIO_TIMERS_NONE;
    case AIO_TIMER_HEAP:
    case AIO_TIMER_PARKED:
        return set->heap.entries[timer->place].deadline;
    default:
        return timer->order;
    }
}

static AioTimer *overflow_next(const AioTimer *timer)
{
    return (AioTimer *)timer->place;
}

static void overflow_append(AioTimerSet *set, AioTimer *timer, uint64_t deadline)
{
    timer->order = deadline;
    timer->place = (uintptr_t)NULL;
    if (set->overflow) {
        set->overflow_last->place = (uintptr_t)timer;
    } else {
        set->overflow = timer;
    }
    set->overflow_last = timer;
}

/* O(n) in what is overflown before it. */
static void overflow_unlink(AioTimerSet *set, AioTimer *timer)
{
    AioTimer *prev = NULL;
    for (AioTimer *at = set->overflow; at != timer; at = overflow_next(at)) {
        prev = at;
    }
    if (prev) {
        prev->place = timer->place;
    } else {
        set->overflow = overflow_next(timer);
    }
    if (set->overflow_last == timer) {
        set->overflow_last = prev;
    }
}

static bool has_room(AioTimerHeap *heap)
{
    return !aio__timer_heap_full(heap) || aio__timer_heap_grow(heap) == 0;
}

static void overflow_flush(AioTimerSet *set)
{
    while (set->overflow && has_room(&set->heap)) {
        AioTimer *timer = set->overflow;
        uint64_t deadline = timer->order;
        overflow_unlink(set, timer);
        timer->order = ++set->order;
        timer->state = AIO_TIMER_HEAP;
        aio__timer_heap_insert(&set->heap, timer, deadline);
    }
}

static void note_aside(AioTimerSet *set, uint64_t deadline)
{
    if (deadline < set->aside_earliest) {
        set->aside_earliest = deadline;
    }
}

static void forget_aside(AioTimerSet *set)
{
    if (set->heap.parked == 0 && !set->overflow) {
        set->aside_earliest = AIO_TIMERS_NONE;
    }
}

static void park(AioTimerSet *set, AioTimer *timer, uint64_t deadline)
{
    timer->state = AIO_TIMER_PARKED;
    aio__timer_heap_park(&set->heap, timer, deadline);
    note_aside(set, deadline);
}

static void insert(AioTimerSet *set, AioTimer *timer, uint64_t deadline, bool later)
{
    if (set->overflow) {
        overflow_flush(set);
        forget_aside(set);
    }
    if (set->overflow || !has_room(&set->heap)) {
        timer->state = later ? AIO_TIMER_OVERFLOWN_LATER : AIO_TIMER_OVERFLOWN;
        overflow_append(set, timer, deadline);
        note_aside(set, deadline);
        return;
    }
    timer->order = ++set->order;
    if (later) {
        park(set, timer, deadline);
    } else {
        timer->state = AIO_TIMER_HEAP;
        aio__timer_heap_insert(&set->heap, timer, deadline);
    }
}

void aio__timer_set_put_slow(AioTimerSet *set, AioTimer *timer, uint64_t deadline, bool later)
{
    aio__timer_set_remove(set, timer);
    insert(set, timer, deadline, later);
}

void aio__timer_set_remove_slow(AioTimerSet *set, AioTimer *timer)
{
    if (timer->state == AIO_TIMER_PARKED) {
        aio__timer_heap_remove_parked(&set->heap, timer);
    } else {
        overflow_unlink(set, timer);
    }
    forget_aside(set);
    timer->state = AIO_TIMER_IDLE;
}

AioTimer *aio__timer_set_take(AioTimerSet *set, uint64_t now, uint64_t order)
{
    AioTimerHeap *heap = &set->heap;
    while (heap->count > 0 && heap->entries[0].deadline <= now) {
        AioTimerEntry first = heap->entries[0];
        aio__timer_set_remove(set, first.timer);
        if (first.timer->order <= order) {
            return first.timer;
        }
        park(set, first.timer, first.deadline);
    }
    for (AioTimer *timer = set->overflow; timer; timer = overflow_next(timer)) {
        if (timer->state == AIO_TIMER_OVERFLOWN && timer->order <= now) {
            aio__timer_set_remove(set, timer);
            return timer;
        }
    }
    return NULL;
}

void aio__timer_set_bring_back(AioTimerSet *set)
{
    if (set->aside_earliest == AIO_TIMERS_NONE) {
        return;
    }
    while (set->heap.parked > 0) {
        aio__timer_heap_unpark(&set->heap)->state = AIO_TIMER_HEAP;
    }
    overflow_flush(set);
    set->aside_earliest = AIO_TIMERS_NONE;
    for (AioTimer *timer = set->overflow; timer; timer = overflow_next(timer)) {
        timer->state = AIO_TIMER_OVERFLOWN;
        note_aside(set, timer->order);
    }
}

uint64_t aio__timer_set_latest(const AioTimerSet *set)
{
    uint64_t moment = aio__timer_heap_latest(&set->heap, latest_of);
    return set->aside_earliest < moment ? set->aside_earliest : moment;
}

uint64_t aio__timer_set_earliest_without(const AioTimerSet *set, unsigned attributes)
{
    uint64_t earliest = aio__timer_heap_earliest(&set->heap, attributes);
    for (AioTimer *timer = set->overflow; timer; timer = overflow_next(timer)) {
        if (timer->order < earliest && !(timer->attributes & attributes)) {
            earliest = timer->order;
        }
    }
    return earliest;
}
