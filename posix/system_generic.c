/*
 * The small questions of linux/system.c on other POSIX systems.
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <unistd.h>

#include "core/platform.h"
#include "posix/thread_name.h"

const char *aio__getenv(const char *name)
{
    bool borrowed = getuid() != geteuid() || getgid() != getegid();
    return borrowed ? NULL : getenv(name);
}

void aio__thread_set_name(const char *name)
{
    (void)name; /* every system has another call for it */
}
