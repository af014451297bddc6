/*
 * The inside of the generic file engine, for engines that do a part of their requests another way and leave the rest
 * to it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_FILE_POOL_H
#define AIOCTX_CORE_FILE_POOL_H

#include <stdatomic.h>

#include "core/file_engine.h"
#include "core/thread_pool.h"

/* In AioFile.engine_data, the generic engine's bit: the system knows no reads that do not wait, for this file. */
#define AIO_FILE_POOL_NO_INLINE UINT64_C(1)

/* An engine that is built upon it begins with this. */
typedef struct AioFilePool {
    AioFileEngine engine; /* first */
    AioThreadPool *pool;  /* owned */
} AioFilePool;

/* So do its ops with this. */
typedef struct AioFilePoolOp {
    AioFileOp op; /* first */
    AioPoolWork work;
    atomic_bool cancelled; /* asked for while a worker has it */
} AioFilePoolOp;

/* 0 or -ENOMEM. */
int aio__file_pool_init(AioFilePool *self, const AioFileEngineOps *ops, AioContext *ctx);
void aio__file_pool_destroy(AioFilePool *self);

/* What is promised of submit and cancel in AioFileEngineOps, for ops that this engine has. */
int aio__file_pool_submit(AioFileEngine *engine, AioFileOp *op);
void aio__file_pool_cancel(AioFileEngine *engine, AioFileOp *op);

/* Have an op that is OVER, and was not given to submit, completed at home, later. */
void aio__file_pool_finish(AioFilePool *self, AioFilePoolOp *op);

#endif
