/*
 * The bottom halves of a context, as its loop sees them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_BH_H
#define AIOCTX_CORE_BH_H

#include <stdatomic.h>

#include "aioctx/bh.h"
#include "core/list.h"

typedef struct AioBhQueue {
    _Atomic(AioBh *) pushed; /* linked, last in first out: by posters, taken whole by the loop */
    AioList running;         /* linked, first in first out: what iterations under way have taken */
    AioList all;             /* linked, under `lock`: every bottom half that is not freed */
    unsigned depth;          /* of aio_bh_poll() calls */
} AioBhQueue;

void aio__bh_init(AioContext *ctx);

/* Frees what was deleted; fatal where one was not, and names it. */
void aio__bh_destroy(AioContext *ctx);

/* 0 where one is to run, 10 ms where only idle ones are, -1 where none is. */
int64_t aio__bh_timeout_ns(AioContext *ctx);

/* Whether anything, a deletion included, waits for the next aio_bh_poll(). */
bool aio__bh_pending(AioContext *ctx);

#endif
