/*
 * Waiting by poll(2), in milliseconds rounded up, where there is no ppoll(2).
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>

#include "posix/wait.h"

int aio__posix_wait(struct pollfd *fds, nfds_t count, int64_t timeout_ns)
{
    const int64_t ms = 1000000;
    const int64_t longest = (int64_t)INT_MAX * ms;
    bool cut = timeout_ns > longest;
    int timeout = -1;
    if (timeout_ns >= 0) {
        timeout = cut ? INT_MAX : (int)(timeout_ns / ms + (timeout_ns % ms != 0));
    }
    int n = poll(fds, count, timeout);
    if (n == 0 && cut) {
        return -EINTR; /* the time is not up yet */
    }
    return n < 0 ? -errno : n;
}
