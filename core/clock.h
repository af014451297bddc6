/*
 * The clocks, as the timers see them: whether each is enabled, and which lists of timers hang on it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_CLOCK_H
#define AIOCTX_CORE_CLOCK_H

#include <stdatomic.h>

#include "aioctx/clock.h"
#include "core/list.h"

struct AioTimerList;

/* A bit for each clock that is enabled. Changed by aio_clock_enable() only. */
extern _Atomic uint32_t aio__clocks_enabled;

/*
 * What has to be exact (a callback that must not start, a wake-up that must not be lost) asks under a list's
 * lock, and aio_clock_enable() takes that lock after it has changed the bit.
 */
static inline bool aio__clock_is_enabled(AioClock clock)
{
    /* Acquire: pairs with enable() in core/clock.c: callbacks see what was done before. */
    return atomic_load_explicit(&aio__clocks_enabled, memory_order_acquire) >> clock & 1;
}

/* Have the clock wake and wait for a list, and no longer. `node` is the list's member `on_clock`. */
void aio__clock_add(AioClock clock, AioNode *node);
void aio__clock_remove(AioNode *node);

/* A list on which aio__timers_await() returned true has no callback running any more. */
void aio__clock_callbacks_ended(void);

/* Read another source in place of the system's (NULL: the system's). For tests. REALTIME and HOST only. */
typedef int64_t AioClockSource(void);
void aio__clock_override(AioClock clock, AioClockSource *source);

#endif
