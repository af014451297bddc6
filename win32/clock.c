/*
 * The system's clocks: the performance counter, which stands still for no one, and the precise wall clock.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdatomic.h>

#include "core/platform.h"
#include "win32/win32.h"

#define SECOND INT64_C(1000000000)

/* Fixed while the system runs. Racing first callers write the same. */
static int64_t frequency(void)
{
    static _Atomic int64_t cached;
    int64_t value = atomic_load_explicit(&cached, memory_order_relaxed);
    if (value == 0) {
        LARGE_INTEGER counts;
        QueryPerformanceFrequency(&counts);
        value = counts.QuadPart;
        atomic_store_explicit(&cached, value, memory_order_relaxed);
    }
    return value;
}

int64_t aio__monotonic_ns(void)
{
    LARGE_INTEGER counter;
    int64_t per_second = frequency();
    QueryPerformanceCounter(&counter);
    int64_t now = counter.QuadPart;
    /* In two parts, since the product of both would overflow after some minutes. */
    return now / per_second * SECOND + now % per_second * SECOND / per_second;
}

int64_t aio__wall_clock_ns(void)
{
    const int64_t from_1601_to_1970 = INT64_C(116444736000000000);
    FILETIME time;
    GetSystemTimePreciseAsFileTime(&time);
    int64_t ticks = (int64_t)((uint64_t)time.dwHighDateTime << 32 | time.dwLowDateTime);
    return (ticks - from_1601_to_1970) * 100;
}
