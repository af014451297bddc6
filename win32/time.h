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

#endif
