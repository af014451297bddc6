/*
 * Coroutines and contexts: bringing a coroutine to the loop that it belongs to.
 *
 * A context has a list of scheduled coroutines, pushed to by any thread and taken whole by a bottom half in
 * the home thread. A coroutine that moves itself to another context is pushed only after its stack was
 * left, so that the other thread finds it ready. Waking one that has not yielded yet is safe from other
 * threads, since its own thread, where it is entered again, has to come out of it first.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <errno.h>

#include "core/context.h"
#include "core/notify.h"

/* The coroutine is in nobody's hands but the context's from the push on: it may run, end, and be freed. */
void aio__co_schedule(AioContext *ctx, AioCoroutine *co, const char *by)
{
    aio__co_set_woken(co, by);
    aio__post_begin(ctx);
    AioCoroutine *first = atomic_load_explicit(&ctx->co.scheduled, memory_order_relaxed);
    do {
        co->next = first;
        /* Release: pairs with run_scheduled(). */
    } while (!atomic_compare_exchange_weak_explicit(&ctx->co.scheduled, &first, co,
                                                    memory_order_release, memory_order_relaxed));
    aio_bh_schedule(ctx->co.bh);
    aio__post_cancel(ctx); /* the bottom half has woken the loop */
}

/* First scheduled, first run. What is scheduled meanwhile runs with the bottom half's next run. */
static void run_scheduled(void *opaque)
{
    AioContext *ctx = opaque;
    /* Acquire: pairs with aio__co_schedule(). */
    AioCoroutine *pushed = atomic_exchange_explicit(&ctx->co.scheduled, NULL, memory_order_acquire);
    AioCoroutine *queue = NULL;
    while (pushed) {
        AioCoroutine *co = pushed;
        pushed = co->next;
        co->next = queue;
        queue = co;
    }
    while (queue) {
        AioCoroutine *co = queue;
        queue = co->next;
        aio__count(ctx, co_resumes);
        aio__co_enter_woken(co, ctx);
    }
}

int aio__co_context_init(AioContext *ctx)
{
    atomic_init(&ctx->co.scheduled, NULL);
    ctx->co.bh = aio_bh_new_full(ctx, run_scheduled, ctx, "coroutines", NULL, NULL);
    return ctx->co.bh ? 0 : -ENOMEM;
}

void aio__co_context_destroy(AioContext *ctx)
{
    if (ctx->co.bh) {
        aio_bh_delete(ctx->co.bh);
    }
}

bool aio__co_context_busy(AioContext *ctx)
{
    return atomic_load_explicit(&ctx->co.scheduled, memory_order_relaxed) != NULL;
}

void aio_co_schedule(AioContext *ctx, AioCoroutine *co)
{
    assert(ctx);
    aio__co_schedule(ctx, co, __func__);
}

void aio__co_wake(AioContext *ctx, AioCoroutine *co, const char *by)
{
    if (ctx && ctx != aio_context_current()) {
        aio__co_schedule(ctx, co, by);
    } else if (aio_co_in_coroutine()) {
        aio__co_enter_later(co, ctx, by);
    } else {
        aio__co_enter(co, ctx, by);
    }
}

void aio_co_enter(AioContext *ctx, AioCoroutine *co)
{
    aio__co_wake(ctx, co, __func__);
}

void aio_co_wake(AioCoroutine *co)
{
    AioContext *ctx = aio_co_context(co);
    aio__co_wake(ctx ? ctx : aio_context_current(), co, __func__);
}

AioContext *aio__co_loop(AioCoroutine *self)
{
    AioContext *ctx = aio_co_context(self);
    if (!ctx) {
        ctx = aio_context_current();
        assert(ctx); /* there is no loop in this thread */
        atomic_store_explicit(&self->ctx, ctx, memory_order_relaxed);
    }
    return ctx;
}

typedef struct Move {
    AioCoroutine *co; /* borrowed until it is pushed */
    AioContext *to;   /* borrowed: it outlives the coroutine's stay there */
} Move;

/* On another stack: from the push on, the mover's own, with `opaque` on it, may be in use. */
static void arrive_there(void *opaque)
{
    Move move = *(Move *)opaque;
    aio__co_schedule(move.to, move.co, "aio_co_reschedule_self");
}

void aio_co_reschedule_self(AioContext *ctx)
{
    assert(ctx);
    Move move = {.co = aio_co_self(), .to = ctx};
    if (aio_co_context(move.co) != ctx || aio_context_current() != ctx) {
        aio__co_yield_then(arrive_there, &move, __func__);
    }
}
