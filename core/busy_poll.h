/*
 * Adaptive busy-polling: spending a little time looking before sleeping.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_BUSY_POLL_H
#define AIOCTX_CORE_BUSY_POLL_H

#include <stdatomic.h>

#include "aioctx/types.h"

typedef struct AioBusyPoll {
    _Atomic int64_t max_ns; /* set from any thread */
    _Atomic int64_t grow;
    _Atomic int64_t shrink;
    _Atomic unsigned generation; /* of the three; a new one starts the window anew */
    unsigned seen_generation;
    _Atomic int64_t window_ns; /* written at home */
    bool started;              /* poll_begin was called and poll_end not yet */
} AioBusyPoll;

/*
 * Look for work instead of sleeping, for as long as the window and *timeout_ns allow, and leave in *timeout_ns
 * what remains. Sets *progress where a handler had work. Returns whether the wait can be left out.
 */
bool aio__busy_poll(AioContext *ctx, int64_t *timeout_ns, bool *progress);

/* Leave busy-polling: poll_end, then one more look. Returns whether that found work. */
bool aio__busy_poll_end(AioContext *ctx);

/* Adapt the window to the time that an iteration blocked. */
void aio__busy_poll_adapt(AioContext *ctx, int64_t blocked_ns);

#endif
