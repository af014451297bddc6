/*
 * Waiting for what another thread does. A waiter runs a context meanwhile, or blocks where its thread has
 * none; a kick makes all waiters of the process look at their conditions again. Conditions are the
 * callers' own, and read and written by them without any lock of ours.
 *
 * No kick is lost: a waiter first announces itself with one read-modify-write of a word, then looks; a
 * kicker first changes what the condition looks at, then adds to the word with one. Whichever comes
 * second in the word's modification order sees the other: either the waiter sees the change, or the
 * kicker sees the waiter. And what wakes a waiter is remembered until it looks: aio_notify() by the
 * context, a flag by the thread that blocks.
 *
 * SPDX-License-Identifier: MIT
 */
#include "aioctx/wait.h"

#include "core/context.h"
#include "core/once.h"

/* In the thread's own stack for the length of a call. */
typedef struct Waiter {
    AioNode node;    /* linked, under the lock */
    AioContext *ctx; /* borrowed: the one that it runs; NULL: it blocks */
    bool kicked;     /* under the lock */
} Waiter;

#define KICK (UINT64_C(1) << 32) /* `word` counts kicks above, waiters below */

static _Atomic uint64_t word;

static AioOnce once;
static AioMutex lock;
static AioCond kicked; /* for those that block */
static AioList waiters;

static void setup(void)
{
    aio__mutex_init(&lock);
    aio__cond_init(&kicked);
    aio__list_init(&waiters);
}

void aio_wait_kick(void)
{
    /* Acquire and release: pairs with announce(). */
    uint64_t before = atomic_fetch_add_explicit(&word, KICK, memory_order_acq_rel);
    if (before % KICK == 0) {
        return;
    }
    aio__mutex_lock(&lock);
    for (AioNode *node = aio__list_first(&waiters); node; node = aio__list_next(&waiters, node)) {
        Waiter *waiter = AIO_CONTAINER_OF(node, Waiter, node);
        waiter->kicked = true;
        if (waiter->ctx) {
            aio_notify(waiter->ctx);
        }
    }
    aio__cond_broadcast(&kicked);
    aio__mutex_unlock(&lock);
}

/* In the list first, so that whoever sees the count finds the waiter. */
static void announce(Waiter *waiter)
{
    aio__once(&once, setup);
    aio__mutex_lock(&lock);
    aio__list_push(&waiters, &waiter->node);
    aio__mutex_unlock(&lock);
    /* Acquire and release: pairs with aio_wait_kick(). */
    atomic_fetch_add_explicit(&word, 1, memory_order_acq_rel);
}

static void withdraw(Waiter *waiter)
{
    atomic_fetch_sub_explicit(&word, 1, memory_order_relaxed);
    aio__mutex_lock(&lock);
    aio__node_unlink(&waiter->node);
    aio__mutex_unlock(&lock);
}

static void block(Waiter *waiter)
{
    aio__mutex_lock(&lock);
    while (!waiter->kicked) {
        aio__cond_wait(&kicked, &lock);
    }
    waiter->kicked = false;
    aio__mutex_unlock(&lock);
}

void aio_wait_while(AioContext *ctx, AioWaitCondition *condition, void *opaque)
{
    Waiter waiter = {.ctx = ctx && aio__is_home(ctx) ? ctx : aio_context_current()};
    if (!condition(opaque)) {
        return;
    }
    if (waiter.ctx) {
        aio_context_ref(waiter.ctx); /* a callback may drop the last one */
    }
    announce(&waiter);
    while (condition(opaque)) {
        if (waiter.ctx) {
            aio_poll(waiter.ctx, true);
        } else {
            block(&waiter);
        }
    }
    withdraw(&waiter);
    if (waiter.ctx) {
        aio_context_unref(waiter.ctx);
    }
}

/* A bottom half elsewhere, and the one who waits for its end; in the waiter's stack. */
typedef struct Errand {
    AioCallback *cb;
    void *opaque; /* borrowed until it is done */
    atomic_bool done;
} Errand;

static void run_errand(void *opaque)
{
    Errand *errand = opaque;
    errand->cb(errand->opaque);
    /* Release: pairs with under_way(). The errand is gone afterwards. */
    atomic_store_explicit(&errand->done, true, memory_order_release);
    aio_wait_kick();
}

static bool under_way(void *opaque)
{
    Errand *errand = opaque;
    /* Acquire: pairs with run_errand(). */
    return !atomic_load_explicit(&errand->done, memory_order_acquire);
}

bool aio_wait_bh(AioContext *ctx, AioCallback *cb, void *opaque, AioError **errp)
{
    Errand errand = {.cb = cb, .opaque = opaque};
    if (aio__is_home(ctx)) {
        cb(opaque);
        return true;
    }
    if (!aio_bh_oneshot(ctx, run_errand, &errand, "aio_wait_bh", errp)) {
        return false;
    }
    aio_wait_while(ctx, under_way, &errand);
    return true;
}
