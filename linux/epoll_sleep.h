/*
 * epoll_wait(2) with nanoseconds.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_LINUX_EPOLL_SLEEP_H
#define AIOCTX_LINUX_EPOLL_SLEEP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

/*
 * As epoll_wait(2), with the time-out in nanoseconds (-1 for ever), rounded up and never early. Returns the
 * number of events, 0 when the time was up, -EINTR where it came back early, or a negative errno value.
 * *no_pwait2 is a note for the next call; false at first.
 */
int aio__epoll_sleep(int fd, struct epoll_event *events, int max, int64_t timeout_ns,
                     bool *no_pwait2);

#endif
