/*
 * The four clocks that timers run on.
 *
 *  REALTIME    monotonic time; never stops, never jumps (CLOCK_MONOTONIC, clock_gettime(2))
 *  VIRTUAL     time that belongs to the program: it starts disabled at 0 and moves only as
 *              aio_clock_set(), aio_clock_warp() and their like say
 *  HOST        wall-clock time since the epoch (CLOCK_REALTIME); jumps when it is set. A loop with a
 *              timer armed on it looks at it once a second at least, so that a jump is followed within
 *              that time
 *  VIRTUAL_RT  real time that passes only while it is enabled (it starts enabled)
 *
 * The clocks are process-wide; each context keeps its own timers on them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CLOCK_H
#define AIOCTX_CLOCK_H

#include "aioctx/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum AioClock {
    AIO_CLOCK_REALTIME = 0,
    AIO_CLOCK_VIRTUAL = 1,
    AIO_CLOCK_HOST = 2,
    AIO_CLOCK_VIRTUAL_RT = 3,
    AIO_CLOCK_MAX
} AioClock;

/* Nanoseconds in the units that timers can be given. */
#define AIO_SCALE_NS 1
#define AIO_SCALE_US 1000
#define AIO_SCALE_MS 1000000
#define AIO_SCALE_S 1000000000

/*
 * The time on a clock, in nanoseconds.
 *
 * Thread: signal
 */
AIO_EXPORT int64_t aio_clock_get_ns(AioClock clock);

/*
 * The same in microseconds, rounded down.
 *
 * Thread: signal
 */
AIO_EXPORT int64_t aio_clock_get_us(AioClock clock);

/*
 * The same in milliseconds, rounded down.
 *
 * Thread: signal
 */
AIO_EXPORT int64_t aio_clock_get_ms(AioClock clock);

/*
 * Let a clock's timers run, or not. Disabling returns only when no callback of a timer on this clock is
 * running in any thread, and none starts until it is enabled again; the timers stay armed. Fatal from a
 * callback of the same clock, for which it would wait for ever; two callbacks on two clocks must not each disable
 * the clock of the other.
 *
 * Thread: any
 */
AIO_EXPORT void aio_clock_enable(AioClock clock, bool enabled);

/*
 * Whether a clock is enabled.
 *
 * Thread: any
 */
AIO_EXPORT bool aio_clock_enabled(AioClock clock);

/*
 * Set VIRTUAL to `now_ns`, forwards or backwards, and wake every context with a timer that is due.
 *
 * Thread: any
 */
AIO_EXPORT void aio_clock_set(int64_t now_ns);

/*
 * Move VIRTUAL on by `delta_ns` (not negative).
 *
 * Thread: any
 */
AIO_EXPORT void aio_clock_advance(int64_t delta_ns);

/*
 * Move VIRTUAL to the earliest deadline of its timers in all contexts, where that lies ahead. Returns
 * false where no timer is armed on it or it is disabled.
 *
 * Thread: any
 */
AIO_EXPORT bool aio_clock_warp(void);

/*
 * The earliest deadline of all contexts' timers on a clock, as a duration from now: 0 where one is due, -1
 * where there is none or the clock is disabled. Timers with an attribute in `without` are passed over.
 *
 * Thread: any
 */
AIO_EXPORT int64_t aio_clock_deadline_ns(AioClock clock, unsigned without);

/*
 * The sooner of two time-outs, where -1 is for ever.
 *
 * Thread: signal
 */
AIO_EXPORT int64_t aio_soonest_timeout(int64_t a_ns, int64_t b_ns);

#ifdef __cplusplus
}
#endif

#endif
