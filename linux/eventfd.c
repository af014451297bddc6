/*
 * One descriptor for a notifier: an eventfd(2). Its counter never overflows in practice (2^64 - 2 sets), and where
 * it would, the notifier is set anyway.
 *
 * SPDX-License-Identifier: MIT
 */
#include "posix/eventfd.h"

#include <errno.h>
#include <sys/eventfd.h>

int aio__eventfd_open(bool active)
{
    int fd = eventfd(active, EFD_NONBLOCK | EFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}
