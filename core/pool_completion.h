/*
 * How work that has finished comes home: a lock-free list and one bottom half.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_POOL_COMPLETION_H
#define AIOCTX_CORE_POOL_COMPLETION_H

#include <stdatomic.h>

#include "core/thread_pool.h"

typedef struct AioPoolCompletion {
    AioBh *bh;                       /* owned */
    _Atomic(AioPoolWork *) finished; /* linked, last in first out: pushed anywhere, taken at home */
    AioList completed;               /* linked; at home only: taken and not done yet */
    int *busy; /* borrowed: outlives this; counted down for each that is done */
} AioPoolCompletion;

/* 0 or -ENOMEM. */
int aio__pool_completion_init(AioPoolCompletion *completion, AioContext *ctx, int *busy);

/* With nothing in it, or where the set-up failed. */
void aio__pool_completion_destroy(AioPoolCompletion *completion);

/* Have work done() at home, later. From here on a worker has nothing to do with it. Thread: any */
void aio__pool_completion_push(AioPoolCompletion *completion, AioPoolWork *work);

#endif
