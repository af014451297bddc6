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

typedef struct AioNotify {
    _Atomic uint32_t state;
    AioNotifier notifier;
} AioNotify;

/*
 * A poster brackets its push with these: the context then outlives the call, even where what was pushed
 * makes the loop drop the last reference. _end makes the loop look (as aio_notify()); _cancel does not.
 * Thread: signal
 */
void aio__post_begin(AioContext *ctx);
void aio__post_end(AioContext *ctx);
void aio__post_cancel(AioContext *ctx);

/*
 * Have the loop apply changes and compute its time-out again. Unlike aio_notify() this does not make
 * aio_poll() return. Costs nothing in the home thread outside of a wait.
 * Thread: any
 */
void aio__kick(AioContext *ctx);

#endif
