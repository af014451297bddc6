/*
 * Waitable handles to test with: each with a counter, alone and in a crowd.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_TESTS_WIN32_HELP_H
#define AIOCTX_TESTS_WIN32_HELP_H

#define WIN32_LEAN_AND_MEAN
#define _WIN32_WINNT 0x0602
#include <winsock2.h>

#include <windows.h>

#include "tests/probe.h"

/* A handle with a counter. */
typedef struct Watched {
    AioContext *ctx;
    HANDLE handle;
    int calls;
    bool reset; /* the callback resets the event */
    void (*then)(struct Watched *watched);
    void *arg;
    int errors;
    int error;
} Watched;

bool try_watch(Watched *watched, AioContext *ctx, HANDLE handle, unsigned flags, AioError **errp);
void watch(Watched *watched, AioContext *ctx, HANDLE handle);
void unwatch(Watched *watched);
void close_watched(Watched *watched);

HANDLE manual_event(bool set);
HANDLE auto_event(bool set);

/*
 * Handles that are never signalled, so many that what is registered after them is beyond those that one call takes. Most
 * tests run without and with them.
 */
void crowd_in(AioContext *ctx, bool crowded);
void crowd_out(bool crowded);

#endif
