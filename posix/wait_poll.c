/*
 * Waiting by poll(2), in milliseconds rounded up, where there is no ppoll(2).
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "posix/wait.h"

int aio__posix_wait(struct pollfd *fds, nfds_t count, int64_t timeout_ns)
{
    bool cut;
    int timeout = aio__timeout_ms(timeout_ns, &cut);
    int n = poll(fds, count, timeout);
    if (n == 0 && cut) {
        return -EINTR; /* the time is not up yet */
    }
    return n < 0 ? -errno : n;
}
