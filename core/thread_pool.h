/*
 * Thread pools as core uses them: work items that their owner embeds, so that queueing allocates nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_THREAD_POOL_H
#define AIOCTX_CORE_THREAD_POOL_H

#include "aioctx/thread_pool.h"
#include "core/list.h"

/*
 * One piece of work, embedded by its owner.
 *
 *          queue                a worker takes it
 *   IDLE ---------> QUEUED -------------------------> TAKEN -------+
 *    ^ |               |  cancel                        ^          | done(),
 *    | |  finish       +------------------> CANCELLED ------------+  at home
 *    | +------------------------------------------------+          |
 *    +-------------------------------------------------------------+
 *
 * QUEUED is left under the pool's lock, the other states are the home thread's. A worker leaves the memory
 * alone once it has pushed it to the list of finished work.
 */
typedef enum AioPoolWorkState {
    AIO_POOL_WORK_IDLE,
    AIO_POOL_WORK_QUEUED,
    AIO_POOL_WORK_TAKEN,
    AIO_POOL_WORK_CANCELLED,
} AioPoolWorkState;

typedef struct AioPoolWork AioPoolWork;
struct AioPoolWork {
    void (*run)(AioPoolWork *work);                  /* in a worker */
    void (*done)(AioPoolWork *work, bool cancelled); /* at home; may free it and run the context */
    AioPoolWorkState state;
    AioNode node;               /* linked into AioThreadPool.queue, then into .completed */
    AioPoolWork *finished_next; /* linked: written before the push, read after the list was taken */
};

/* A pool besides the one that users share; for one module's own work. */
AioThreadPool *aio__thread_pool_new(AioContext *ctx);

/* Ends its workers and frees it; NULL is accepted. Called when no work is left, in any thread. */
void aio__thread_pool_free(AioThreadPool *pool);

/* The context that it serves. */
AioContext *aio__thread_pool_context(const AioThreadPool *pool);

/* How many pieces of work were queued or finished and are not done. */
int aio__thread_pool_busy(const AioThreadPool *pool);

/*
 * Have run() called in a worker and then done() at home, never from inside this call. Fails, having called
 * neither, only where no worker is there and none can be started.
 */
int aio__thread_pool_queue(AioThreadPool *pool, AioPoolWork *work);

/* Have done() called without a worker, later, like that of all work that has finished. */
void aio__thread_pool_finish(AioThreadPool *pool, AioPoolWork *work);

/* Take it back where no worker has it. done() is called later in any case. */
void aio__thread_pool_cancel(AioThreadPool *pool, AioPoolWork *work);

/* Keep so many workers at least and at most: 0 <= min <= max, 1 <= max. */
void aio__thread_pool_bound(AioThreadPool *pool, int min, int max);

/* How many workers there are now, and how long one waits for work before it leaves. For tests. */
int aio__thread_pool_workers(AioThreadPool *pool);
void aio__thread_pool_set_patience(AioThreadPool *pool, int64_t ns);

#endif
