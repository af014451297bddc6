/*
 * poll(2) with nanoseconds, where the system has it. One implementation is chosen by CMake.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_POSIX_WAIT_H
#define AIOCTX_POSIX_WAIT_H

#include <poll.h>
#include <stdint.h>

/* As poll(2), with the time-out in nanoseconds (-1 for ever), rounded up and never early. Returns the number
 * of ready descriptors, 0 when the time was up, -EINTR where it came back early, or a negative errno value. */
int aio__posix_wait(struct pollfd *fds, nfds_t count, int64_t timeout_ns);

#endif
