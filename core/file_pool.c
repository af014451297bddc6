/*
 * The generic file engine: blocking calls in the workers of a pool of its own, so that slow jobs of users do
 * not hold up files. A small read is tried at home first, without waiting for the device: from a hot page cache
 * that costs a fraction of the way through a worker. Its completion takes the same way home as all others, so
 * it never comes from inside the submission.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdatomic.h>

#include "core/alloc.h"
#include "core/context.h"
#include "core/file_engine.h"
#include "core/thread_pool.h"

/* The largest read that is tried at home: copying more would hold up the loop longer than a worker costs. */
#define INLINE_MAX 65536

/* In AioFile.engine_data: the system knows no reads that do not wait, for this file. */
#define NO_INLINE 1u

typedef struct PoolEngine {
    AioFileEngine engine; /* first */
    AioThreadPool *pool;  /* owned */
} PoolEngine;

typedef struct PoolOp {
    AioFileOp op; /* first */
    AioPoolWork work;
    atomic_bool cancelled; /* asked for while a worker has it */
} PoolOp;

static AioThreadPool *pool_of(AioFileEngine *engine)
{
    return ((PoolEngine *)engine)->pool;
}

static PoolOp *op_of_work(AioPoolWork *work)
{
    return AIO_CONTAINER_OF(work, PoolOp, work);
}

static void run_op(AioPoolWork *work)
{
    PoolOp *op = op_of_work(work);
    while (aio__file_op_advance(&op->op, aio__file_io_run(&op->op.io))) {
        /* Relaxed: only a hint, and nothing else goes with it. */
        if (atomic_load_explicit(&op->cancelled, memory_order_relaxed)) {
            aio__file_op_advance(&op->op, -ECANCELED);
            break;
        }
    }
}

static void op_done(AioPoolWork *work, bool cancelled)
{
    PoolOp *op = op_of_work(work);
    if (cancelled) {
        aio__file_op_advance(&op->op, -ECANCELED);
    }
    aio__file_op_complete(&op->op);
}

static bool may_read_inline(const AioFileOp *op)
{
    return op->io.kind == AIO_FILE_IO_READ && op->io.length <= INLINE_MAX &&
           !(op->file->access & AIO_FILE_DIRECT) && !(op->file->engine_data & NO_INLINE);
}

/* Whether the read is over. What it did not get is left for a worker, errors included. */
static bool read_inline(AioFileOp *op)
{
    bool over = false;
    op->io.flags |= AIO_FILE_IO_NOWAIT;
    for (;;) {
        int64_t result = aio__file_io_run(&op->io);
        if (result < 0) {
            if (result == -ENOTSUP) {
                op->file->engine_data |= NO_INLINE;
            }
            break;
        }
        if (!aio__file_op_advance(op, result)) {
            over = true;
            break;
        }
    }
    op->io.flags &= ~AIO_FILE_IO_NOWAIT;
    return over;
}

static int pool_submit(AioFileEngine *engine, AioFileOp *head)
{
    PoolOp *op = (PoolOp *)head;
    op->work = (AioPoolWork){.run = run_op, .done = op_done};
    atomic_init(&op->cancelled, false);
    if (may_read_inline(head) && read_inline(head)) {
        aio__thread_pool_finish(pool_of(engine), &op->work);
        return 0;
    }
    return aio__thread_pool_queue(pool_of(engine), &op->work);
}

static void pool_cancel(AioFileEngine *engine, AioFileOp *head)
{
    PoolOp *op = (PoolOp *)head;
    atomic_store_explicit(&op->cancelled, true, memory_order_relaxed);
    aio__thread_pool_cancel(pool_of(engine), &op->work);
}

static int pool_open(AioContext *ctx, AioFileEngine **result)
{
    PoolEngine *engine = aio__calloc(1, sizeof(*engine));
    if (!engine) {
        return -ENOMEM;
    }
    engine->engine.ops = &aio__file_engine_pool;
    engine->pool = aio__thread_pool_new(ctx);
    if (!engine->pool) {
        aio__free(engine);
        return -ENOMEM;
    }
    *result = &engine->engine;
    return 0;
}

static void pool_close(AioFileEngine *engine)
{
    aio__thread_pool_free(pool_of(engine));
    aio__free(engine);
}

const AioFileEngineOps aio__file_engine_pool = {
    .name = "pool",
    .op_size = sizeof(PoolOp),
    .open = pool_open,
    .close = pool_close,
    .submit = pool_submit,
    .cancel = pool_cancel,
};
