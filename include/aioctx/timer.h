/*
 * Timers: callbacks at a time on one of the four clocks.
 *
 * A timer is never early. Timers with equal deadlines run in the order in which they were armed, and
 * each runs once at most in an iteration, also where its callback arms it in the past. In its callback
 * a timer is unarmed: it may be armed, deleted and freed there.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_TIMER_H
#define AIOCTX_TIMER_H

#include "aioctx/clock.h"
#include "aioctx/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef AioCallback AioTimerFunc;

/* Attributes of a timer. */
#define AIO_TIMER_EXTERNAL                                                                         \
    0x1u /* driven by the outside world: passed over on demand in deadlines */

/* May live inside the caller's struct. The fields are private. */
struct AioTimer {
    void *list; /* of its context and clock */
    AioTimerFunc *cb;
    void *opaque;
    uint64_t order;
    uintptr_t place;
    int32_t scale;
    uint16_t slack;
    uint8_t attributes;
    uint8_t state;
    void *reserved;
};

/*
 * Initialise a timer of `ctx`, unarmed. `scale` is the number of nanoseconds in the unit in which
 * aio_timer_mod() takes its time (AIO_SCALE_*). Must not be armed.
 *
 * Thread: any
 */
AIO_EXPORT void aio_timer_init(AioContext *ctx, AioTimer *timer, AioClock clock, int scale,
                               AioTimerFunc *cb, void *opaque);

/*
 * As aio_timer_init(), with attributes (AIO_TIMER_*).
 *
 * Thread: any
 */
AIO_EXPORT void aio_timer_init_with_attrs(AioContext *ctx, AioTimer *timer, AioClock clock,
                                          int scale, int attributes, AioTimerFunc *cb,
                                          void *opaque);

/*
 * A timer from the heap, or NULL where memory is refused; to be freed with aio_timer_free().
 *
 * Thread: any
 */
AIO_EXPORT AioTimer *aio_timer_new(AioContext *ctx, AioClock clock, int scale, AioTimerFunc *cb,
                                   void *opaque);

/*
 * As aio_timer_new(), with attributes.
 *
 * Thread: any
 */
AIO_EXPORT AioTimer *aio_timer_new_with_attrs(AioContext *ctx, AioClock clock, int scale,
                                              int attributes, AioTimerFunc *cb, void *opaque);

/*
 * Let the callback come up to `slack_ns` later than its deadline, so that wake-ups coalesce: the loop
 * sleeps until the first moment that is the last one for some timer, and then runs all that are due. 0,
 * the default, is as precise as the system. Kept to three digits, rounded down; at most 4,395 s. Unarmed
 * timers only. (Where more than 32 timers are due within each other's slack, the loop may wake sooner
 * than it must.)
 *
 * Thread: any
 */
AIO_EXPORT void aio_timer_set_slack(AioTimer *timer, int64_t slack_ns);

/*
 * Arm at the absolute time `expire`, in the timer's scale; moves it where it is armed. A negative time is
 * 0, and one beyond the range of the clock is its end. Wakes the loop where it became the earliest.
 *
 * Thread: any
 */
AIO_EXPORT void aio_timer_mod(AioTimer *timer, int64_t expire);

/*
 * As aio_timer_mod(), in nanoseconds whatever the scale.
 *
 * Thread: any
 */
AIO_EXPORT void aio_timer_mod_ns(AioTimer *timer, int64_t expire_ns);

/*
 * As aio_timer_mod(), but only ever earlier; arms it where it is not armed.
 *
 * Thread: any
 */
AIO_EXPORT void aio_timer_mod_anticipate(AioTimer *timer, int64_t expire);

/*
 * As aio_timer_mod_anticipate(), in nanoseconds whatever the scale.
 *
 * Thread: any
 */
AIO_EXPORT void aio_timer_mod_anticipate_ns(AioTimer *timer, int64_t expire_ns);

/*
 * Disarm. Idempotent. Does not wait for a callback that runs in the home thread.
 *
 * Thread: any
 */
AIO_EXPORT void aio_timer_del(AioTimer *timer);

/*
 * Disarm a timer that the caller owns and forget its context; to be initialised before it is used again.
 *
 * Thread: any
 */
AIO_EXPORT void aio_timer_deinit(AioTimer *timer);

/*
 * Disarm and free a timer from aio_timer_new(); NULL is accepted.
 *
 * Thread: any
 */
AIO_EXPORT void aio_timer_free(AioTimer *timer);

/*
 * Whether it is armed.
 *
 * Thread: any
 */
AIO_EXPORT bool aio_timer_pending(AioTimer *timer);

/*
 * Whether its deadline is at or before `now`, in the timer's scale. True for an unarmed timer.
 *
 * Thread: any
 */
AIO_EXPORT bool aio_timer_expired(AioTimer *timer, int64_t now);

/*
 * The deadline in nanoseconds, UINT64_MAX where it is not armed.
 *
 * Thread: any
 */
AIO_EXPORT uint64_t aio_timer_expire_time_ns(AioTimer *timer);

#ifdef __cplusplus
}
#endif

#endif
