/*
 * Waiting for what another thread's context does, and deferring calls.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_WAIT_H
#define AIOCTX_WAIT_H

#include "aioctx/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether to go on waiting. Called in the waiting thread. */
typedef bool AioWaitCondition(void *opaque);

/*
 * Wait while condition(opaque) is true. In the home thread of `ctx` (or with NULL) this runs `ctx` (or
 * the thread's current context); in another thread that owns a context it runs that one; in a thread
 * without a context it blocks. Whoever changes what the condition looks at, from any thread, calls aio_wait_kick()
 * afterwards.
 *
 * Thread: any, no coroutine
 */
AIO_EXPORT void aio_wait_while(AioContext *ctx, AioWaitCondition *condition, void *opaque);

/*
 * Make every aio_wait_while() of the process look at its condition again.
 *
 * Thread: any
 */
AIO_EXPORT void aio_wait_kick(void);

/*
 * Run cb(opaque) as a bottom half of `ctx` and wait for its end. From the home thread it is called at
 * once; where the context has no home thread yet, this blocks until it has one that runs it. Returns false and an
 * error where memory is refused.
 *
 * Thread: any, no coroutine
 */
AIO_EXPORT bool aio_wait_bh(AioContext *ctx, AioCallback *cb, void *opaque, AioError **errp);

/*
 * Begin a section of the calling thread in which aio_defer_call() collects. Sections nest; the end of the
 * outermost runs what was collected. File requests are collected, too: they are handed to the system at the end of the
 * section, or when their context waits, and the context lives until then.
 *
 * Thread: any
 */
AIO_EXPORT void aio_defer_begin(void);

/*
 * End a section. Not in another thread than it began in: a coroutine does not yield in between.
 *
 * Thread: any
 */
AIO_EXPORT void aio_defer_end(void);

/*
 * Inside a section: remember cb(opaque) for its end, once for equal pairs, in the order of the first calls.
 * Outside of one, or where memory is refused: call it at once.
 *
 * Thread: any
 */
AIO_EXPORT void aio_defer_call(AioCallback *cb, void *opaque);

#ifdef __cplusplus
}
#endif

#endif
