/*
 * The timers of one context on one clock, and what the loop asks of them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_TIMER_H
#define AIOCTX_CORE_TIMER_H

#include <stdatomic.h>

#include "aioctx/timer.h"
#include "core/list.h"
#include "core/lock.h"
#include "core/timer_set.h"

typedef struct AioTimerList {
    AioContext *ctx; /* borrowed: contains this */
    AioClock clock;
    AioNode on_clock; /* linked: in the clock's registry */

    AioLock lock; /* guards what follows and the private fields of the list's timers */
    AioTimerSet set;

    /*
     * Changed under the lock, read without it: a reader that acts on an old value is woken by
     * aio__kick(), which whoever stored a sooner one calls afterwards.
     */
    _Atomic uint64_t earliest; /* deadline of the first timer */
    atomic_bool slack;         /* one with slack was armed since the list was last empty */
    _Atomic uint64_t wake;     /* then: the moment until which the loop may sleep */

    unsigned runs;      /* of aio__timers_run() on the stack of the home thread */
    uintptr_t runner;   /* the thread that they are in */
    int64_t run_now;    /* the innermost's time */
    uint64_t run_order; /* the innermost leaves timers that were armed after this to the next */
    bool awaited;       /* aio_clock_enable() waits for the end of the outermost */
} AioTimerList;

/* Set up and take down the four lists of ctx->timers. */
int aio__timers_init(AioContext *ctx);
void aio__timers_destroy(AioContext *ctx);

/*
 * How long a wait may last for the sake of the timers on all clocks that are enabled: -1: for ever, 0: one
 * is due. Slack is made use of, and a timer on HOST limits it to a second. An iteration that does not
 * wait need not ask.
 */
int64_t aio__timers_timeout_ns(AioContext *ctx);

/* Whether aio__timers_run() would run one now. */
bool aio__timers_due(AioContext *ctx);

/* Run what is due, each timer once at most. Returns how many ran. */
unsigned aio__timers_run(AioContext *ctx);

/* Whether a timer is armed on a clock of the context, for the finalizer. */
bool aio__timers_armed(AioContext *ctx, AioClock clock);

/*
 * The earliest deadline of the timers without any of the attributes, AIO_TIMERS_NONE: none. Orders with
 * whoever arms one: it takes the lock.
 */
uint64_t aio__timers_earliest_ns(AioTimerList *list, unsigned without);

/* Whether another thread runs callbacks; aio__clock_callbacks_ended() tells when it has ended. */
bool aio__timers_await(AioTimerList *list);

/* Whether the calling thread does. */
bool aio__timers_running_here(AioTimerList *list);

/*
 * Arm a timer, wherever it is. `only_earlier`: leave it where its deadline is not after this one already.
 */
void aio__timer_arm(AioTimer *timer, int64_t deadline_ns, bool only_earlier);

/* Disarm a timer, wherever it is. */
void aio__timer_disarm(AioTimer *timer);

/* Its deadline, AIO_TIMERS_NONE where it is not armed. */
uint64_t aio__timer_deadline_ns(AioTimer *timer);

#endif
