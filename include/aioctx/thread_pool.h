/*
 * The thread pool of a context: blocking work done elsewhere, completed at home.
 *
 * Jobs start in the order in which they were submitted. Workers are started as there is work, from the home
 * thread or from one another, so that they inherit where it may run; they wait 10 s for more, and no more of them
 * are woken than there are jobs. Where no further thread can be started, those that are there do the work.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_THREAD_POOL_H
#define AIOCTX_THREAD_POOL_H

#include "aioctx/request.h"
#include "aioctx/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Work done in a worker thread. Its result, 0 or a negative errno value by custom, goes to the callback. */
typedef int AioThreadPoolFunc(void *opaque);

/*
 * The pool of a context, made at the first call; owned by the context. NULL where memory is refused.
 *
 * Thread: home
 */
AIO_EXPORT AioThreadPool *aio_get_thread_pool(AioContext *ctx);

/*
 * Bound the number of workers: 0 <= min <= max, 1 <= max; min of them stay warm. The default is 0 and 64.
 * Returns false and EINVAL where the bounds are wrong.
 *
 * Thread: home
 */
AIO_EXPORT bool aio_thread_pool_set_bounds(AioThreadPool *pool, int min, int max, AioError **errp);

/*
 * Run func(arg) in a worker, then cb(opaque, its result) at home; cb may be NULL. The request can be
 * cancelled while no worker has taken it. Returns NULL and an error where memory or the first thread is
 * refused; then neither is called.
 *
 * Thread: home
 */
AIO_EXPORT AioRequest *aio_thread_pool_submit(AioThreadPool *pool, AioThreadPoolFunc *func,
                                              void *arg, AioCompletionFunc *cb, void *opaque,
                                              AioError **errp);

/*
 * Run func(arg) in a worker while the calling coroutine yields, and return its result, or a negative
 * errno value where it could not be submitted.
 *
 * Thread: home, coroutine
 */
AIO_EXPORT int aio_thread_pool_submit_co(AioThreadPool *pool, AioThreadPoolFunc *func, void *arg);

#ifdef __cplusplus
}
#endif

#endif
