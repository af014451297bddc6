/*
 * The fake engine: ops wait in a list, and a bottom half attempts them by the plan, at home.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fake_engine.h"

#include <errno.h>
#include <stdlib.h>

#include "aioctx/aioctx.h"
#include "core/list.h"

typedef struct FakeEngine {
    AioFileEngine engine; /* first */
    FakePlan *plan;
    AioBh *bh;
    AioList ops;
    unsigned count;
    unsigned random;
} FakeEngine;

typedef struct FakeOp {
    AioFileOp op; /* first */
    AioNode node; /* linked into FakeEngine.ops */
    unsigned rounds;
    bool cancelled;
} FakeOp;

static FakePlan *next_plan;

void fake_engine_plan(FakePlan *plan)
{
    next_plan = plan;
}

static FakeOp *op_of_node(AioNode *node)
{
    return AIO_CONTAINER_OF(node, FakeOp, node);
}

static unsigned draw(FakeEngine *engine, unsigned below)
{
    engine->random = engine->random * 1664525u + 1013904223u;
    return below ? (engine->random >> 8) % below : 0;
}

static bool one_in(FakeEngine *engine, unsigned n)
{
    return n > 0 && draw(engine, n) == 0;
}

/* A part of what is left: the first piece that is not empty, or some of it. */
static int64_t attempt_part(FakeEngine *engine, const AioFileIo *io)
{
    AioFileIo part = *io;
    AioIoVec piece;
    if (io->iov) {
        while (part.iov->len == 0) {
            part.iov++;
        }
        piece = *part.iov;
        piece.len = piece.len > 1 ? 1 + draw(engine, (unsigned)piece.len - 1) : 1;
        part.iov = &piece;
        part.iovcnt = 1;
        part.length = (int64_t)piece.len;
    } else if (io->kind == AIO_FILE_IO_WRITE_ZEROES) {
        part.length = 1 + draw(engine, (unsigned)io->length);
    }
    return aio__file_io_run(&part);
}

static int64_t attempt(FakeEngine *engine, FakeOp *op)
{
    FakePlan *plan = engine->plan;
    plan->attempts++;
    if (op->cancelled && plan->honour_cancel) {
        return -ECANCELED;
    }
    if (plan->fail) {
        return plan->fail;
    }
    if (one_in(engine, plan->again_of)) {
        return draw(engine, 2) ? -EAGAIN : -EINTR;
    }
    if (one_in(engine, plan->short_of)) {
        return attempt_part(engine, &op->op.io);
    }
    return aio__file_io_run(&op->op.io);
}

static AioNode *take(FakeEngine *engine)
{
    AioNode *node = aio__list_first(&engine->ops);
    for (unsigned skip = engine->plan->reorder ? draw(engine, engine->count) : 0; skip > 0;
         skip--) {
        node = aio__list_next(&engine->ops, node);
    }
    aio__node_unlink(node);
    engine->count--;
    return node;
}

static void put_back(FakeEngine *engine, FakeOp *op)
{
    aio__list_push(&engine->ops, &op->node);
    engine->count++;
}

/* Attempt some ops; each completion may run this again, for the ops that are left then. */
static void run(void *opaque)
{
    FakeEngine *engine = opaque;
    unsigned at_once = engine->plan->at_once ? engine->plan->at_once : engine->count;
    if (engine->count > 0) {
        aio_bh_schedule(engine->bh);
    }
    for (unsigned i = 0; i < at_once && engine->count > 0; i++) {
        FakeOp *op = op_of_node(take(engine));
        if (op->rounds > 0) {
            op->rounds--;
            put_back(engine, op);
        } else if (aio__file_op_advance(&op->op, attempt(engine, op))) {
            put_back(engine, op);
        } else {
            aio__file_op_complete(&op->op);
        }
    }
    if (engine->count == 0) {
        aio_bh_cancel(engine->bh);
    }
}

static int fake_submit(AioFileEngine *base, AioFileOp *head)
{
    FakeEngine *engine = (FakeEngine *)base;
    FakeOp *op = (FakeOp *)head;
    engine->plan->submits++;
    if (engine->plan->fail_submit) {
        return engine->plan->fail_submit;
    }
    op->rounds = draw(engine, engine->plan->rounds + 1);
    op->cancelled = false;
    op->node = (AioNode){NULL, NULL};
    put_back(engine, op);
    engine->plan->most = engine->count > engine->plan->most ? engine->count : engine->plan->most;
    if (!engine->plan->gather) {
        aio_bh_schedule(engine->bh);
    }
    return 0;
}

static void fake_cancel(AioFileEngine *base, AioFileOp *op)
{
    ((FakeEngine *)base)->plan->cancels++;
    ((FakeOp *)op)->cancelled = true;
}

static void fake_flush(AioFileEngine *base)
{
    FakeEngine *engine = (FakeEngine *)base;
    engine->plan->flushes++;
    if (engine->count > 0) {
        aio_bh_schedule(engine->bh);
    }
}

static int fake_open(AioContext *ctx, AioFileEngine **result)
{
    FakeEngine *engine = calloc(1, sizeof(*engine));
    if (!engine) {
        return -ENOMEM;
    }
    engine->engine.ops = &fake_engine;
    engine->plan = next_plan;
    engine->random = engine->plan->seed;
    aio__list_init(&engine->ops);
    engine->bh = aio_bh_new_full(ctx, run, engine, "fake engine", NULL, NULL);
    if (!engine->bh) {
        free(engine);
        return -ENOMEM;
    }
    *result = &engine->engine;
    return 0;
}

static void fake_close(AioFileEngine *base)
{
    FakeEngine *engine = (FakeEngine *)base;
    aio_bh_delete(engine->bh);
    free(engine);
}

const AioFileEngineOps fake_engine = {
    .name = "fake",
    .op_size = sizeof(FakeOp),
    .open = fake_open,
    .close = fake_close,
    .submit = fake_submit,
    .cancel = fake_cancel,
    .flush = fake_flush,
};
