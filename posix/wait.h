/*
 * poll(2) with nanoseconds, where the system has it. One implementation is chosen by CMake.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_POSIX_WAIT_H
#define AIOCTX_POSIX_WAIT_H

#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A time-out for poll(2) and its like: milliseconds, rounded up, -1 for ever. *cut: the time is not up when that is.
 */
static inline int aio__timeout_ms(int64_t timeout_ns, bool *cut)
{
    const int64_t ms = 1000000;
    *cut = timeout_ns > INT_MAX * ms;
    if (timeout_ns < 0) {
        return -1;
    }
    return *cut ? INT_MAX : (int)(timeout_ns / ms + (timeout_ns % ms != 0));
}

/* As poll(2), with the time-out in nanoseconds (-1 for ever), rounded up and never early. Returns the number
 * of ready descriptors, 0 when the time was up, -EINTR where it came back early, or a negative errno value. */
int aio__posix_wait(struct pollfd *fds, nfds_t count, int64_t timeout_ns);

#endif
