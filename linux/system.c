/*
 * Small questions that Linux answers better than POSIX does.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/platform.h"
#include "posix/thread_name.h"

const char *aio__getenv(const char *name)
{
    return secure_getenv(name); /* file capabilities count as borrowed rights, too */
}

void aio__thread_set_name(const char *name)
{
    char short_name[16] = "";
    strncpy(short_name, name, sizeof(short_name) - 1);
    pthread_setname_np(pthread_self(), short_name);
}
