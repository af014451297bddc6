/*
 * The generic file engine: blocking calls in the workers of a pool of its own, so that slow jobs of users do
 * not hold up files. A small read is tried at home first, without waiting for the device: from a hot page cache
 * that costs a fraction of the way through a worker. Its completion takes the same way home as all others, so
 * it never comes from inside the submission.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/file_pool.h"

#include <errno.h>

#include "core/alloc.h"

/* The largest read that is tried at home: copying more would hold up the loop longer than a worker costs. */
#define INLINE_MAX 65536

static AioThreadPool *pool_of(AioFileEngine *engine)
{
    return ((AioFilePool *)engine)->pool;
}

static AioFilePoolOp *op_of_work(AioPoolWork *work)
{
    return AIO_CONTAINER_OF(work, AioFilePoolOp, work);
}

static void run_op(AioPoolWork *work)
{
    AioFilePoolOp *op = op_of_work(work);
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
    AioFilePoolOp *op = op_of_work(work);
    if (cancelled) {
        aio__file_op_advance(&op->op, -ECANCELED);
    }
    aio__file_op_complete(&op->op);
}

static bool may_read_inline(const AioFileOp *op)
{
    return op->io.kind == AIO_FILE_IO_READ && op->io.length <= INLINE_MAX &&
           !(op->file->access & AIO_FILE_DIRECT) &&
           !(op->file->engine_data & AIO_FILE_POOL_NO_INLINE);
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
                op->file->engine_data |= AIO_FILE_POOL_NO_INLINE;
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

static void prepare(AioFilePoolOp *op)
{
    op->work = (AioPoolWork){.run = run_op, .done = op_done};
    atomic_init(&op->cancelled, false);
}

int aio__file_pool_submit(AioFileEngine *engine, AioFileOp *head)
{
    AioFilePoolOp *op = (AioFilePoolOp *)head;
    prepare(op);
    if (may_read_inline(head) && read_inline(head)) {
        aio__thread_pool_finish(pool_of(engine), &op->work);
        return 0;
    }
    return aio__thread_pool_queue(pool_of(engine), &op->work);
}

void aio__file_pool_cancel(AioFileEngine *engine, AioFileOp *head)
{
    AioFilePoolOp *op = (AioFilePoolOp *)head;
    atomic_store_explicit(&op->cancelled, true, memory_order_relaxed);
    aio__thread_pool_cancel(pool_of(engine), &op->work);
}

void aio__file_pool_finish(AioFilePool *self, AioFilePoolOp *op)
{
    prepare(op);
    aio__thread_pool_finish(self->pool, &op->work);
}

int aio__file_pool_init(AioFilePool *self, const AioFileEngineOps *ops, AioContext *ctx)
{
    self->engine.ops = ops;
    self->pool = aio__thread_pool_new(ctx);
    return self->pool ? 0 : -ENOMEM;
}

void aio__file_pool_destroy(AioFilePool *self)
{
    aio__thread_pool_free(self->pool);
}

static int pool_open(AioContext *ctx, AioFileEngine **result)
{
    AioFilePool *self = aio__calloc(1, sizeof(*self));
    if (!self) {
        return -ENOMEM;
    }
    int error = aio__file_pool_init(self, &aio__file_engine_pool, ctx);
    if (error) {
        aio__free(self);
        return error;
    }
    *result = &self->engine;
    return 0;
}

static void pool_close(AioFileEngine *engine)
{
    aio__file_pool_destroy((AioFilePool *)engine);
    aio__free(engine);
}

const AioFileEngineOps aio__file_engine_pool = {
    .name = "pool",
    .op_size = sizeof(AioFilePoolOp),
    .open = pool_open,
    .close = pool_close,
    .submit = aio__file_pool_submit,
    .cancel = aio__file_pool_cancel,
};
