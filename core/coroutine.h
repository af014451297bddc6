/*
 * Coroutines as core sees them, and the part of a context that belongs to them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_COROUTINE_H
#define AIOCTX_CORE_COROUTINE_H

#include <stdatomic.h>

#include "aioctx/coroutine.h"

/* The coroutines scheduled on a context; drained by a bottom half of it. */
typedef struct AioCoQueueOfContext {
    _Atomic(AioCoroutine *) scheduled; /* linked, last in first out */
    AioBh *bh;                         /* owned */
} AioCoQueueOfContext;

/* Set up and take down ctx->co. */
int aio__co_context_init(AioContext *ctx);
void aio__co_context_destroy(AioContext *ctx);

/* Whether a coroutine is scheduled on the context still. */
bool aio__co_context_busy(AioContext *ctx);

#endif
