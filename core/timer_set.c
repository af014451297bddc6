/*
 * A set of armed timers that never fails: the heap, a batch of those that are due, the timers that wait
 * outside of it for the next run, and the list that holds what was armed while memory was refused. It knows nothing of clocks and threads:
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
    case AIO_TIMER_DUE:
        return set->due[timer->place].deadline;
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

static bool has_room(AioTimerSet *set)
{
    return !aio__timer_set_full(set) || aio__timer_heap_grow(&set->heap) == 0;
}

static void overflow_flush(AioTimerSet *set)
{
    while (set->overflow && has_room(set)) {
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
    if (set->overflow || !has_room(set)) {
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
    if (timer->state == AIO_TIMER_DUE) {
        set->due[timer->place].timer = NULL;
    } else if (timer->state == AIO_TIMER_PARKED) {
        aio__timer_heap_remove_parked(&set->heap, timer);
    } else {
        overflow_unlink(set, timer);
    }
    forget_aside(set);
    timer->state = AIO_TIMER_IDLE;
}

/* Have the next batch of what is due taken out of the heap. There is none at present. */
static void collect_due(AioTimerSet *set, uint64_t now, uint64_t order)
{
    AioTimerHeap *heap = &set->heap;
    unsigned count = 0;
    while (count < AIO_TIMERS_BATCH && heap->count > 0 && heap->entries[0].deadline <= now) {
        AioTimerEntry first = aio__timer_heap_take(heap);
        if (first.timer->order > order) {
            park(set, first.timer, first.deadline);
            continue;
        }
        first.timer->state = AIO_TIMER_DUE;
        first.timer->place = count;
        set->due[count++] = first;
    }
    set->due_next = 0;
    set->due_end = count;
}

static AioTimer *take_overflown(AioTimerSet *set, uint64_t now)
{
    for (AioTimer *timer = set->overflow; timer; timer = overflow_next(timer)) {
        if (timer->state == AIO_TIMER_OVERFLOWN && timer->order <= now) {
            aio__timer_set_remove(set, timer);
            return timer;
        }
    }
    return NULL;
}

AioTimer *aio__timer_set_take(AioTimerSet *set, uint64_t now, uint64_t order)
{
    for (;;) {
        if (set->due_next == set->due_end) {
            collect_due(set, now, order);
            if (set->due_end == 0) {
                return take_overflown(set, now);
            }
        }
        AioTimerEntry first = set->due[set->due_next];
        if (first.timer && first.deadline > now) { /* the clock was set back */
            aio__timer_set_give_back(set);
            continue;
        }
        set->due_next++;
        if (first.timer) {
            first.timer->state = AIO_TIMER_IDLE;
            return first.timer;
        }
    }
}

void aio__timer_set_give_back(AioTimerSet *set)
{
    while (set->due_next < set->due_end) {
        AioTimerEntry entry = set->due[set->due_next++];
        if (entry.timer) {
            entry.timer->state = AIO_TIMER_HEAP;
            aio__timer_heap_insert(&set->heap, entry.timer, entry.deadline);
        }
    }
}

void aio__timer_set_bring_back(AioTimerSet *set)
{
    aio__timer_set_give_back(set);
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
    if (set->due_next < set->due_end && set->due[set->due_next].deadline < moment) {
        moment = set->due[set->due_next].deadline;
    }
    return set->aside_earliest < moment ? set->aside_earliest : moment;
}

uint64_t aio__timer_set_earliest_without(const AioTimerSet *set, unsigned attributes)
{
    uint64_t earliest = aio__timer_heap_earliest(&set->heap, attributes);
    for (unsigned i = set->due_next; i < set->due_end; i++) {
        const AioTimerEntry *entry = &set->due[i];
        if (entry->timer && entry->deadline < earliest &&
            !(entry->timer->attributes & attributes)) {
            earliest = entry->deadline;
        }
    }
    for (AioTimer *timer = set->overflow; timer; timer = overflow_next(timer)) {
        if (timer->order < earliest && !(timer->attributes & attributes)) {
            earliest = timer->order;
        }
    }
    return earliest;
}
