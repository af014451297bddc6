/*
 * Waiting on an epoll set: by epoll_pwait2(2) in nanoseconds where the kernel has it, otherwise in
 * milliseconds, rounded up.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "linux/epoll_sleep.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "posix/wait.h"

#ifdef SYS_epoll_pwait2
#include <linux/time_types.h>
#endif

static int sleep_ms(int fd, struct epoll_event *events, int max, int64_t timeout_ns)
{
    bool cut;
    int timeout = aio__timeout_ms(timeout_ns, &cut);
    int n = epoll_wait(fd, events, max, timeout);
    if (n == 0 && cut) {
        return -EINTR; /* the time is not up yet */
    }
    return n < 0 ? -errno : n;
}

int aio__epoll_sleep(int fd, struct epoll_event *events, int max, int64_t timeout_ns,
                     bool *no_pwait2)
{
#ifdef SYS_epoll_pwait2
    if (timeout_ns > 0 && !*no_pwait2) {
        struct __kernel_timespec timeout = {
            .tv_sec = timeout_ns / 1000000000,
            .tv_nsec = timeout_ns % 1000000000,
        };
        long n = syscall(SYS_epoll_pwait2, fd, events, max, &timeout, NULL, (size_t)0);
        if (n >= 0) {
            return (int)n;
        }
        if (errno != ENOSYS && errno != EPERM) { /* EPERM: an old seccomp filter */
            return -errno;
        }
        *no_pwait2 = true;
    }
#endif
    return sleep_ms(fd, events, max, timeout_ns);
}
