/*
 * Sleeping coroutines: a timer, another's wake-up, or whichever comes first.
 *
 * A sleep is one word, the sleeper's coroutine. Whoever takes it out wakes, so that one of all wakers does. The timer
 * lies on the sleeper's stack: the sleeper disarms it in its home thread, where its callback runs, before
 * it goes on.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <stdatomic.h>

#include "aioctx/timer.h"
#include "core/coroutine.h"

static inline _Atomic(void *) *sleeper_of(AioCoSleep *sleep)
{
    return (_Atomic(void *) *)&sleep->to_wake;
}

static AioCoroutine *take_sleeper(AioCoSleep *sleep)
{
    if (!atomic_load_explicit(sleeper_of(sleep), memory_order_relaxed)) {
        return NULL;
    }
    /* Acquire: pairs with begin(). */
    return atomic_exchange_explicit(sleeper_of(sleep), NULL, memory_order_acquire);
}

static void begin(AioCoSleep *sleep, AioCoroutine *self)
{
    assert(aio_co_in_coroutine());
    assert(!atomic_load_explicit(sleeper_of(sleep), memory_order_relaxed));
    /* Release: pairs with take_sleeper(). */
    atomic_store_explicit(sleeper_of(sleep), self, memory_order_release);
}

void aio_co_sleep_wake(AioCoSleep *sleep)
{
    AioCoroutine *co = take_sleeper(sleep);
    if (co) {
        aio__co_wake(aio_co_context(co), co, __func__);
    }
}

void aio_co_sleep_forever(AioCoSleep *sleep)
{
    begin(sleep, aio_co_self());
    aio_co_yield();
}

typedef struct Alarm {
    AioTimer timer;
    AioCoSleep *sleep; /* borrowed until the sleep is over */
    bool rang;
} Alarm;

static void ring(void *opaque)
{
    Alarm *alarm = opaque;
    AioCoroutine *co = take_sleeper(alarm->sleep);
    if (co) {
        alarm->rang = true;
        aio__co_wake(aio_co_context(co), co, "aio_co_sleep_ns");
    }
}

static int64_t deadline(AioClock clock, int64_t duration_ns)
{
    int64_t now = aio_clock_get_ns(clock);
    return duration_ns > INT64_MAX - now ? INT64_MAX : now + duration_ns;
}

bool aio_co_sleep_ns_wakeable(AioCoSleep *sleep, AioClock clock, int64_t duration_ns)
{
    AioCoroutine *self = aio_co_self();
    Alarm alarm = {.sleep = sleep};
    AioContext *ctx = aio__co_loop(self); /* before another thread may wake it there */
    begin(sleep, self);
    aio_timer_init(ctx, &alarm.timer, clock, AIO_SCALE_NS, ring, &alarm);
    aio_timer_mod_ns(&alarm.timer, deadline(clock, duration_ns));
    aio_co_yield();
    aio_timer_deinit(&alarm.timer);
    return !alarm.rang;
}

void aio_co_sleep_ns(AioClock clock, int64_t duration_ns)
{
    AioCoSleep sleep = {0};
    aio_co_sleep_ns_wakeable(&sleep, clock, duration_ns);
}
