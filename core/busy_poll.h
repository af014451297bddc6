/*
 * Adaptive busy-polling: spending a little time looking before sleeping.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_BUSY_POLL_H
#define AIOCTX_CORE_BUSY_POLL_H

#include <stdatomic.h>

#include "aioctx/types.h"

/*
 *            the first look for work               aio__busy_poll_end() before a sleep
 *   WAITING ---------------------------> POLLING ------------------------------------> WAITING
 *            poll_begin of all handlers           poll_end of all handlers, and one more look
 *
 * A handler knows by itself whether it was begun: one that is added meanwhile is begun at the next look.
 */
typedef enum AioBusyPollState {
    AIO_BUSY_WAITING,
    AIO_BUSY_POLLING,
} AioBusyPollState;

typedef struct AioBusyPoll {
    _Atomic int64_t max_ns; /* the three parameters are set from any thread */
    _Atomic int64_t grow;
    _Atomic int64_t shrink;
    _Atomic unsigned generation; /* of the parameters; a new one starts the window anew */
    unsigned seen_generation;
    _Atomic int64_t window_ns; /* written at home */
    AioBusyPollState state;
    bool looking; /* callbacks of a look are on the stack: news of theirs must be seen */
} AioBusyPoll;

/* When a blocking iteration began, for aio__busy_poll_adapt(); 0 where busy-polling is off. */
int64_t aio__busy_poll_clock(AioContext *ctx);

/*
 * Look for work before sleeping, for as long as the window and the next deadline allow. Returns whether a
 * handler had work; otherwise the caller goes on to sleep, or not to, as the time-out says.
 */
bool aio__busy_poll(AioContext *ctx);

/*
 * Before the poller is asked: look once more. With `sleep` leave busy-polling before that look, so that what
 * happens after it is reported by the system. Returns whether a handler had work.
 */
bool aio__busy_poll_end(AioContext *ctx, bool sleep);

/*
 * The rule of the window, documented at aio_context_set_poll_params(): what it becomes after an iteration that
 * was blocked for so long.
 */
int64_t aio__busy_poll_next_window(int64_t window, int64_t blocked, int64_t max, int64_t grow,
                                   int64_t shrink);

/* Adapt the window to the time since `started`. */
void aio__busy_poll_adapt(AioContext *ctx, int64_t started);

#endif
