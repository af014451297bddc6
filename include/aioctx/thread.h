/*
 * A thread that runs a context, for all who would write one anyway.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_THREAD_H
#define AIOCTX_THREAD_H

#include "aioctx/context.h"
#include "aioctx/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Make a context with these options (NULL: the default ones) and a thread that runs it as its home thread.
 * Returns once the thread runs. Its busy-polling window is 32,768 ns at most (aio_context_set_poll_params()
 * changes it). Returns NULL and an error where a resource is refused.
 *
 * Thread: any
 */
AIO_EXPORT AioThread *aio_thread_start(const AioContextOptions *options, AioError **errp);

/*
 * Its context; owned by the thread, good until aio_thread_join() without a reference of one's own.
 *
 * Thread: any
 */
AIO_EXPORT AioContext *aio_thread_context(AioThread *thread);

/*
 * Ask the thread to stop; returns at once. What was scheduled before still runs. Like every
 * aio_context_stop() it ends all runs of the context, those that callbacks started too; what callbacks run
 * afterwards, while the thread ends, returns at once. aio_context_stop() ends the thread as well.
 *
 * Thread: signal
 */
AIO_EXPORT void aio_thread_stop(AioThread *thread);

/*
 * Stop the thread, have it run its context until nothing is left to do and no request is in flight (handlers
 * that are always ready are left at some time), wait for its end, free it and drop the context's reference.
 * Bottom halves, timers and handlers of the context are deleted before, or the caller has a reference and
 * deletes them afterwards. Not from the thread itself.
 *
 * Thread: any
 */
AIO_EXPORT void aio_thread_join(AioThread *thread);

#ifdef __cplusplus
}
#endif

#endif
