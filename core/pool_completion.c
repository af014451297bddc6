/*
 * The way home for finished work: pushed without a lock, taken whole by one bottom half, so that what finished
 * meanwhile is completed in one go, first finished, first done.
 *
 * Invariant: while work is in either list, the bottom half is scheduled, or is running further out and has
 * scheduled itself for a nested poll.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/pool_completion.h"

#include <errno.h>

#include "aioctx/bh.h"

static AioPoolWork *work_of_node(AioNode *node)
{
    return AIO_CONTAINER_OF(node, AioPoolWork, node);
}

void aio__pool_completion_push(AioPoolCompletion *completion, AioPoolWork *work)
{
    AioPoolWork *head = atomic_load_explicit(&completion->finished, memory_order_relaxed);
    do {
        work->finished_next = head;
        /* Release, for the results of the work: pairs with take_finished(). */
    } while (!atomic_compare_exchange_weak_explicit(&completion->finished, &head, work,
                                                    memory_order_release, memory_order_relaxed));
    aio_bh_schedule(completion->bh);
}

/* Append what has finished to the completed list, oldest first. */
static void take_finished(AioPoolCompletion *completion)
{
    /* Acquire: pairs with aio__pool_completion_push(). */
    AioPoolWork *work = atomic_exchange_explicit(&completion->finished, NULL, memory_order_acquire);
    AioList taken;
    aio__list_init(&taken);
    for (; work; work = work->finished_next) {
        aio__list_push_front(&taken, &work->node);
    }
    aio__list_splice(&completion->completed, &taken);
}

/*
 * A callback may run the context and wait there for another piece of work that finished together with its own;
 * so while some are left, this is scheduled again, and that is taken back when all are done, lest the loop run
 * once more for nothing.
 */
static void complete(void *opaque)
{
    AioPoolCompletion *completion = opaque;
    bool scheduled = false;
    AioNode *node;
    take_finished(completion);
    while ((node = aio__list_pop(&completion->completed))) {
        AioPoolWork *work = work_of_node(node);
        bool cancelled = work->state == AIO_POOL_WORK_CANCELLED;
        if (!scheduled && !aio__list_empty(&completion->completed)) {
            scheduled = true;
            aio_bh_schedule(completion->bh);
        }
        --*completion->busy;
        work->state = AIO_POOL_WORK_IDLE;
        work->done(work, cancelled);
    }
    if (scheduled) {
        aio_bh_cancel(completion->bh);
        /* What was pushed before the cancel is seen here, as the cancel acquires; what comes later
         * schedules by itself. */
        if (atomic_load_explicit(&completion->finished, memory_order_relaxed)) {
            aio_bh_schedule(completion->bh);
        }
    }
}

int aio__pool_completion_init(AioPoolCompletion *completion, AioContext *ctx, int *busy)
{
    aio__list_init(&completion->completed);
    completion->busy = busy;
    completion->bh =
        aio_bh_new_full(ctx, complete, completion, "thread pool completion", NULL, NULL);
    return completion->bh ? 0 : -ENOMEM;
}

void aio__pool_completion_destroy(AioPoolCompletion *completion)
{
    if (completion->bh) {
        aio_bh_delete(completion->bh);
    }
}
