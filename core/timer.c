/*
 * The public face of timers: set-up, units of time, and the forms of arming. Where a timer is and when it
 * runs is core/timer_list.c's business. A timer is touched under its list's lock only, except for what
 * its owner sets while it is not armed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/timer.h"

#include <assert.h>

#include "core/alloc.h"
#include "core/context.h"

/* In nanoseconds; what is out of range becomes the end of the range. */
static int64_t to_ns(int64_t time, int32_t scale)
{
    if (scale == 1 || time <= 0) {
        return time < 0 ? 0 : time;
    }
    if (time > UINT32_MAX && time > INT64_MAX / scale) {
        return INT64_MAX;
    }
    return time * scale; /* below 2^32 * 2^31 where it was not compared */
}

void aio_timer_init_with_attrs(AioContext *ctx, AioTimer *timer, AioClock clock, int scale,
                               int attributes, AioTimerFunc *cb, void *opaque)
{
    assert(clock >= 0 && clock < AIO_CLOCK_MAX);
    assert(scale > 0 && cb);
    assert(attributes >= 0 && attributes <= UINT8_MAX);
    *timer = (AioTimer){.list = &ctx->timers[clock],
                        .cb = cb,
                        .opaque = opaque,
                        .scale = scale,
                        .attributes = (uint8_t)attributes};
}

void aio_timer_init(AioContext *ctx, AioTimer *timer, AioClock clock, int scale, AioTimerFunc *cb,
                    void *opaque)
{
    aio_timer_init_with_attrs(ctx, timer, clock, scale, 0, cb, opaque);
}

AioTimer *aio_timer_new_with_attrs(AioContext *ctx, AioClock clock, int scale, int attributes,
                                   AioTimerFunc *cb, void *opaque)
{
    AioTimer *timer = aio__malloc(sizeof(*timer));
    if (timer) {
        aio_timer_init_with_attrs(ctx, timer, clock, scale, attributes, cb, opaque);
    }
    return timer;
}

AioTimer *aio_timer_new(AioContext *ctx, AioClock clock, int scale, AioTimerFunc *cb, void *opaque)
{
    return aio_timer_new_with_attrs(ctx, clock, scale, 0, cb, opaque);
}

void aio_timer_set_slack(AioTimer *timer, int64_t slack_ns)
{
    assert(slack_ns >= 0 && !aio_timer_pending(timer));
    unsigned shift = 0;
    while (shift < 31 && slack_ns >> shift > 2047) {
        shift++;
    }
    int64_t mantissa = slack_ns >> shift;
    timer->slack = (uint16_t)((mantissa > 2047 ? 2047 : mantissa) << 5 | shift);
}

void aio_timer_mod_ns(AioTimer *timer, int64_t expire_ns)
{
    aio__timer_arm(timer, expire_ns, false);
}

void aio_timer_mod(AioTimer *timer, int64_t expire)
{
    aio__timer_arm(timer, to_ns(expire, timer->scale), false);
}

void aio_timer_mod_anticipate_ns(AioTimer *timer, int64_t expire_ns)
{
    aio__timer_arm(timer, expire_ns, true);
}

void aio_timer_mod_anticipate(AioTimer *timer, int64_t expire)
{
    aio__timer_arm(timer, to_ns(expire, timer->scale), true);
}

void aio_timer_del(AioTimer *timer)
{
    aio__timer_disarm(timer);
}

void aio_timer_deinit(AioTimer *timer)
{
    aio__timer_disarm(timer);
    timer->list = NULL;
}

void aio_timer_free(AioTimer *timer)
{
    if (timer) {
        aio__timer_disarm(timer);
        aio__free(timer);
    }
}

bool aio_timer_pending(AioTimer *timer)
{
    return aio__timer_deadline_ns(timer) != AIO_TIMERS_NONE;
}

bool aio_timer_expired(AioTimer *timer, int64_t now)
{
    uint64_t deadline = aio__timer_deadline_ns(timer);
    return deadline == AIO_TIMERS_NONE || deadline <= (uint64_t)to_ns(now, timer->scale);
}

uint64_t aio_timer_expire_time_ns(AioTimer *timer)
{
    return aio__timer_deadline_ns(timer);
}
