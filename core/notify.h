/*
 * Waking a loop: one atomic word that says whether somebody may sleep, whether there is news, and how
 * many posters are inside, and the notifier that is written only when the loop really sleeps.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_NOTIFY_H
#define AIOCTX_CORE_NOTIFY_H

#include <stdatomic.h>

#include "aioctx/notifier.h"
#include "aioctx/types.h"
#include "core/poller.h"

/*
 * The word. Its one modification order is what every argument in notify.c rests on.
 *
 *   NEWS     aio_notify() or a bottom half: the wait must end. Cleared by aio_notify_accept().
 *   KICK     the time-out and the handlers must be looked at again, but the wait goes on. Cleared by whoever
 *            is about to look.
 *   HOST     a host loop may be waiting: from aio_prepare() to aio_pending() or aio_dispatch().
 *   SLEEPER  the number of aio_poll() calls between prepare and the end of their wait.
 *   POSTER   the number of threads between aio__post_begin() and the end of their post.
 */
enum {
    AIO_NOTIFY_NEWS = 1 << 0,
    AIO_NOTIFY_KICK = 1 << 1,
    AIO_NOTIFY_HOST = 1 << 2,
    AIO_NOTIFY_SLEEPER = 1 << 3,
    AIO_NOTIFY_SLEEPERS = 0xfff8,
    AIO_NOTIFY_POSTER = 1 << 16,
    AIO_NOTIFY_POSTERS = 0x7fff0000,
};

typedef struct AioNotify {
    _Atomic uint32_t state;
    AioNotifier notifier;
    /* Of the notifier, in the poller as long as the context lives; unused where that has `wake`. */
    AioWatch watch;
    bool drained; /* seen by a wait, the notifier must be cleared; else its edges are enough */
} AioNotify;

/* A fact about a notifier that was made: each set is an edge of its own, cleared or not. */
bool aio__notifier_has_edges(const AioNotifier *notifier);

int aio__notify_init(AioContext *ctx);
void aio__notify_destroy(AioContext *ctx);

/*
 * A poster brackets its push with begin and one of the others: the context then outlives the call, even where
 * what was pushed makes the loop drop the last reference. _end makes the loop look, as aio_notify() does;
 * _end_kick as aio__kick() does; _cancel does nothing more. Thread: signal
 */
void aio__post_begin(AioContext *ctx);
void aio__post_end(AioContext *ctx);
void aio__post_end_kick(AioContext *ctx);
void aio__post_cancel(AioContext *ctx);

/* Wait until no poster is inside. Called by the finalizer, never by a poster. */
void aio__post_wait(AioContext *ctx);

/*
 * Have the loop apply changes and compute its time-out again. Unlike aio_notify() this does not make
 * aio_poll() return. Costs nothing in the home thread outside of a wait. Thread: any
 */
void aio__kick(AioContext *ctx);

/* Whether something was posted, or news, that nobody took note of. Hints: they order nothing. */
bool aio__notified(const AioContext *ctx);
bool aio__has_news(const AioContext *ctx);

/* Announce that the caller may sleep (bit: SLEEPER or HOST). Returns whether it must not: there is news. */
bool aio__sleep_begin(AioContext *ctx, uint32_t bit);

/* Take the announcement back. */
void aio__sleep_end(AioContext *ctx, uint32_t bit);

/* Between two waits: take note of kicks. Returns whether there is news. */
bool aio__kick_accept(AioContext *ctx);

/* After a wait: take the notifier's own watch off the ready list, and clear it where needed. */
void aio__notify_seen(AioContext *ctx);

/* A host has woken: clear the notifier where no wait does. Before notifications are accepted. */
void aio__notify_host_woke(AioContext *ctx);

#endif
