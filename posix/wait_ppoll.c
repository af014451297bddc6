/*
 * Waiting by ppoll(2), in nanoseconds.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <time.h>

#include "posix/wait.h"

int aio__posix_wait(struct pollfd *fds, nfds_t count, int64_t timeout_ns)
{
    struct timespec timeout = {
        .tv_sec = (time_t)(timeout_ns / 1000000000),
        .tv_nsec = (long)(timeout_ns % 1000000000),
    };
    int n = ppoll(fds, count, timeout_ns < 0 ? NULL : &timeout, NULL);
    return n < 0 ? -errno : n;
}
