/*
 * The one descriptor that does for a notifier, where the system has it. One implementation is chosen by CMake.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_POSIX_EVENTFD_H
#define AIOCTX_POSIX_EVENTFD_H

#include <stdbool.h>

/*
 * A descriptor that is written to and read from, 8 bytes at a time, set already where `active`; private to the
 * program and never blocking. -ENOSYS where there is no such thing, or another negative errno value.
 */
int aio__eventfd_open(bool active);

#endif
