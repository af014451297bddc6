/*
 * The timers of one context on one clock, and what the loop asks of them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_TIMER_H
#define AIOCTX_CORE_TIMER_H

#include "aioctx/timer.h"
#include "core/list.h"
#include "core/platform.h"

typedef struct AioTimerList {
    AioContext *ctx; /* borrowed: contains this */
    AioClock clock;
} AioTimerList;

/* Set up and take down the four lists of ctx->timers. */
int aio__timers_init(AioContext *ctx);
void aio__timers_destroy(AioContext *ctx);

/* Time until the earliest deadline on any clock that is enabled, -1: none, 0: due. Slack included. */
int64_t aio__timers_timeout_ns(AioContext *ctx);

/* Run what is due, each timer once at most. Returns how many ran. */
unsigned aio__timers_run(AioContext *ctx);

/* Whether a timer is armed on a clock of the context, for the finalizer and for HOST rechecks. */
bool aio__timers_armed(AioContext *ctx, AioClock clock);

#endif
