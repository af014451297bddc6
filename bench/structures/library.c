/*
 * The library's own timers, by its public calls: with the lock that lets any thread arm and delete, the
 * look at whether the loop has to wake, and a callback for each expiry. Idle includes reading the clock.
 * The time is ours, so that the deadlines of the other structures do.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "core/clock.h"
#include "core/context.h"
#include "structure.h"

static int64_t now_ns;

static int64_t read_now(void)
{
    return now_ns;
}

static int64_t read_clock(void)
{
    return aio__monotonic_ns() & 1;
}

static void *create(size_t capacity)
{
    (void)capacity;
    AioContext *ctx = aio_context_new(NULL);
    aio_context_bind(ctx);
    now_ns = 0;
    aio__clock_override(AIO_CLOCK_REALTIME, read_now);
    return ctx;
}

static void on_timer(void *opaque)
{
    ((Item *)opaque)->hits++;
}

static void destroy(void *self)
{
    aio_context_unref(self);
    aio__clock_override(AIO_CLOCK_REALTIME, NULL);
}

static void arm(void *self, Item *item, int64_t deadline)
{
    if (!item->timer.list) {
        aio_timer_init(self, &item->timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, on_timer, item);
    }
    aio_timer_mod_ns(&item->timer, deadline);
}

static void move(void *self, Item *item, int64_t deadline)
{
    (void)self;
    aio_timer_mod_ns(&item->timer, deadline);
}

static void cancel(void *self, Item *item)
{
    (void)self;
    aio_timer_del(&item->timer);
}

static size_t expire(void *self, int64_t now)
{
    now_ns = now;
    aio__clock_override(AIO_CLOCK_REALTIME, read_now);
    return aio__timers_run(self);
}

static size_t idle(void *self)
{
    aio__clock_override(AIO_CLOCK_REALTIME, read_clock);
    return aio__timers_run(self);
}

static size_t shared_bytes(void *self, size_t items)
{
    (void)self;
    return items * sizeof(AioTimerEntry);
}

const Structure structure_library = {
    .name = "library",
    .exact = true,
    .item_bytes = sizeof(AioTimer),
    STRUCTURE_FUNCTIONS,
};
