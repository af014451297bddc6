/*
 * Waiting by ppoll(2), in nanoseconds.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <time.h>

#include "posix/wait.h"

int aio__posix_wait(struct pollfd *fds, nfds_t count, int64_t timeout_ns)
{
    const int64_t s = 1000000000;
    bool cut = timeout_ns > INT32_MAX * s; /* time_t may be no wider */
    struct timespec timeout = {
        .tv_sec = cut ? INT32_MAX : (time_t)(timeout_ns / s),
        .tv_nsec = cut ? 0 : (long)(timeout_ns % s),
    };
    int n = ppoll(fds, count, timeout_ns < 0 ? NULL : &timeout, NULL);
    if (n == 0 && cut) {
        return -EINTR; /* the time is not up yet */
    }
    return n < 0 ? -errno : n;
}
