/*
 * Time-outs as Windows counts them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_WIN32_TIME_H
#define AIOCTX_WIN32_TIME_H

#include "core/platform.h"
#include "win32/win32.h"

/* Milliseconds, rounded up, INFINITE for -1. The longest is 49 days: callers look at the clock afterwards. */
static inline DWORD aio__timeout_ms(int64_t timeout_ns)
{
    const int64_t ms = 1000000;
    if (timeout_ns < 0) {
        return INFINITE;
    }
    if (timeout_ns > (int64_t)(INFINITE - 1) * ms) {
        return INFINITE - 1;
    }
    return (DWORD)(timeout_ns / ms + (timeout_ns % ms != 0));
}

/* The moment at which a time-out is up, INT64_MAX for one that never is. */
static inline int64_t aio__deadline(int64_t timeout_ns)
{
    int64_t now = timeout_ns < 0 ? 0 : aio__monotonic_ns();
    return timeout_ns < 0 || timeout_ns > INT64_MAX - now ? INT64_MAX : now + timeout_ns;
}

/* How long it is until then: -1 for ever. */
static inline int64_t aio__time_left(int64_t deadline)
{
    if (deadline == INT64_MAX) {
        return -1;
    }
    int64_t left = deadline - aio__monotonic_ns();
    return left < 0 ? 0 : left;
}

#ifndef CREATE_WAITABLE_TIMER_HIGH_RESOLUTION
#define CREATE_WAITABLE_TIMER_HIGH_RESOLUTION 2
#endif

/* A timer for short sleeps, or NULL where the system has none of high resolution. A wait takes its signal. */
static inline HANDLE aio__short_timer(void)
{
    return CreateWaitableTimerExW(NULL, NULL, CREATE_WAITABLE_TIMER_HIGH_RESOLUTION,
                                  TIMER_MODIFY_STATE | SYNCHRONIZE);
}

/* Have it (or NULL) end a sleep so short that the tick of the system's clock would be felt. Returns whether it will. */
static inline bool aio__short_timer_set(HANDLE timer, int64_t timeout_ns)
{
    const int64_t two_ticks = 32000000;
    LARGE_INTEGER relative = {.QuadPart = -((timeout_ns + 99) / 100)};
    return timer && timeout_ns > 0 && timeout_ns < two_ticks &&
           SetWaitableTimer(timer, &relative, 0, NULL, NULL, FALSE);
}

#endif
