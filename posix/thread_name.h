/*
 * The name of a thread, which every system sets by another call: linux/system.c or posix/system_generic.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_POSIX_THREAD_NAME_H
#define AIOCTX_POSIX_THREAD_NAME_H

/* Name the calling thread, for debuggers. */
void aio__thread_set_name(const char *name);

#endif
