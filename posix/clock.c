/*
 * The system's clocks, by clock_gettime(2).
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L
#include <time.h>

#include "core/platform.h"

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t aio__monotonic_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t aio__wall_clock_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}
