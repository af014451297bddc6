/*
 * Bottom halves: callbacks that a loop runs as soon as it can, scheduled from anywhere.
 *
 * Order is first scheduled, first run. Each iteration runs the ones that were scheduled when it
 * began: a bottom half scheduled by a bottom half, itself included, runs in the next iteration. A
 * nested aio_poll() first runs what the outer iteration has not reached yet.
 * Everything that the scheduling thread wrote before it scheduled is visible in the callback, also
 * where the bottom half was scheduled already.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_BH_H
#define AIOCTX_BH_H

#include "aioctx/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef AioCallback AioBhFunc;

/*
 * A re-entrancy guard, owned by the caller and shared by the bottom halves of one device: while a
 * callback under it runs (or `engaged` was set by the caller), a second one under the same guard is
 * not run but reported: it is recorded as an error of the context (aio_context_take_error()), with
 * its name and EDEADLK, and dropped. It outlives its bottom halves. Home thread only.
 */
typedef struct AioBhGuard {
    bool engaged;
} AioBhGuard;

/*
 * A new bottom half of `ctx`, not scheduled. Returns NULL and an error where memory is refused.
 * The name used in reports is "bh".
 *
 * Thread: any
 */
AIO_EXPORT AioBh *aio_bh_new(AioContext *ctx, AioBhFunc *cb, void *opaque);

/*
 * As aio_bh_new(), with a name for reports (borrowed: a literal, or it outlives the bottom half), an
 * optional guard, and an error that can be looked at.
 *
 * Thread: any
 */
AIO_EXPORT AioBh *aio_bh_new_full(AioContext *ctx, AioBhFunc *cb, void *opaque, const char *name,
                                  AioBhGuard *guard, AioError **errp);

/*
 * Have the callback run once in the next iteration, and wake the loop. Calls made before the callback
 * starts are one run; a call after it started is one more. A pending idle schedule is upgraded.
 * Lock-free, with as many retries at most as threads schedule at the same moment.
 *
 * Thread: signal
 */
AIO_EXPORT void aio_bh_schedule(AioBh *bh);

/*
 * Have the callback run when the loop is otherwise idle, within 10 ms at most. It neither counts as
 * progress nor makes the loop spin.
 *
 * Thread: signal
 */
AIO_EXPORT void aio_bh_schedule_idle(AioBh *bh);

/*
 * Take back a schedule. Called elsewhere than in the home thread it may come too late: the callback
 * may be running, and this does not wait for it.
 *
 * Thread: signal
 */
AIO_EXPORT void aio_bh_cancel(AioBh *bh);

/*
 * Cancel it and have the loop free it. The caller must not touch it afterwards; legal in any
 * callback, its own included. The loop is woken.
 *
 * Thread: signal
 */
AIO_EXPORT void aio_bh_delete(AioBh *bh);

/*
 * Run the callback now, in the caller's thread, whether it is scheduled or not. Changes no state. The
 * callback may delete the bottom half.
 *
 * Thread: any
 */
AIO_EXPORT void aio_bh_call(AioBh *bh);

/*
 * Run the bottom halves scheduled so far, as one step of an iteration does. Returns whether one that
 * counts as progress ran (1 or 0). Re-entrant; for those who build their own iteration.
 *
 * Thread: home
 */
AIO_EXPORT int aio_bh_poll(AioContext *ctx);

/*
 * Have `cb` run once in the next iteration; there is nothing to cancel or free. Where memory is
 * refused, the error is recorded in the context (aio_context_take_error()) and nothing runs.
 *
 * Thread: any
 */
AIO_EXPORT void aio_bh_schedule_oneshot(AioContext *ctx, AioBhFunc *cb, void *opaque);

/*
 * As aio_bh_schedule_oneshot(), with a name for reports (borrowed as in aio_bh_new_full()). Returns
 * false and an error where memory is refused.
 *
 * Thread: any
 */
AIO_EXPORT bool aio_bh_oneshot(AioContext *ctx, AioBhFunc *cb, void *opaque, const char *name,
                               AioError **errp);

#ifdef __cplusplus
}
#endif

#endif
