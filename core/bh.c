/*
 * Bottom halves: scheduled by a lock-free push from anywhere, run by the home thread.
 *
 * A bottom half is on the pushed list or on the running list exactly while its PENDING flag is set; only
 * the home thread clears that flag, when it takes it off to run or to free it. Each aio_bh_poll() moves all that
 * was pushed to the end of the running list and empties that, so that a nested call finishes what
 * the outer one began, and what is scheduled meanwhile waits for the next call.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/bh.h"

#include <assert.h>
#include <errno.h>

#include "core/alloc.h"
#include "core/context.h"

/*
 *            schedule, delete: the first pushes                    aio_bh_poll()
 *   IDLE ---------------------------------------> PENDING ---------------------------+
 *    ^                                                                               |
 *    +-------------- neither DELETED nor ONESHOT: runs if RUN or RUN_IDLE is set ----+
 *                                                                                    |
 *   freed <------------------------------------------------ DELETED or ONESHOT ------+
 */
enum {
    BH_PENDING = 1 << 0,  /* on a list */
    BH_RUN = 1 << 1,      /* the callback is to run */
    BH_RUN_IDLE = 1 << 2, /* the same, in no hurry */
    BH_DELETED = 1 << 3,
    BH_ONESHOT = 1 << 4,
};

#define IDLE_PERIOD_NS 10000000

struct AioBh {
    atomic_uint flags;
    AioBh *pushed_next; /* linked: written before the push, read after the list was taken */
    AioNode node;       /* linked into AioBhQueue.running */
    AioNode all_node;   /* linked into AioBhQueue.all; not for one-shots */
    AioContext *ctx;    /* borrowed: outlives this */
    AioBhFunc *cb;
    void *opaque;
    const char *name;  /* borrowed */
    AioBhGuard *guard; /* borrowed; may be NULL */
};

static AioBh *bh_of_node(AioNode *node)
{
    return AIO_CONTAINER_OF(node, AioBh, node);
}

static AioBh *bh_of_all_node(AioNode *node)
{
    return AIO_CONTAINER_OF(node, AioBh, all_node);
}

static AioBh *bh_create(AioContext *ctx, AioBhFunc *cb, void *opaque, const char *name,
                        AioError **errp)
{
    AioBh *bh = aio__calloc(1, sizeof(*bh));
    if (!bh) {
        aio_error_set(errp, ENOMEM, "No memory for bottom half '%s'", name);
        return NULL;
    }
    bh->ctx = ctx;
    bh->cb = cb;
    bh->opaque = opaque;
    bh->name = name;
    return bh;
}

AioBh *aio_bh_new_full(AioContext *ctx, AioBhFunc *cb, void *opaque, const char *name,
                       AioBhGuard *guard, AioError **errp)
{
    AioBh *bh = bh_create(ctx, cb, opaque, name ? name : "bh", errp);
    if (bh) {
        bh->guard = guard;
        aio__mutex_lock(&ctx->lock);
        aio__list_push(&ctx->bh.all, &bh->all_node);
        aio__mutex_unlock(&ctx->lock);
    }
    return bh;
}

AioBh *aio_bh_new(AioContext *ctx, AioBhFunc *cb, void *opaque)
{
    return aio_bh_new_full(ctx, cb, opaque, NULL, NULL, NULL);
}

static void push(AioBhQueue *queue, AioBh *bh)
{
    AioBh *head = atomic_load_explicit(&queue->pushed, memory_order_relaxed);
    do {
        bh->pushed_next = head;
        /* Release: pairs with take_pushed(). */
    } while (!atomic_compare_exchange_weak_explicit(&queue->pushed, &head, bh, memory_order_release,
                                                    memory_order_relaxed));
}

/*
 * Set flags, and see that the loop finds the bottom half. From the push on it may be run and freed at any
 * moment, so nothing of it is read after that.
 */
static void post(AioBh *bh, unsigned flags)
{
    AioContext *ctx = bh->ctx;
    aio__post_begin(ctx);
    /* Release for what the caller wrote, acquire for the loop's last use of `pushed_next`: pairs with
     * take_off(). */
    unsigned old = atomic_fetch_or_explicit(&bh->flags, flags | BH_PENDING, memory_order_acq_rel);
    if (!(old & BH_PENDING)) {
        push(&ctx->bh, bh);
    }
    if ((old & flags) == flags && (old & BH_PENDING)) {
        aio__post_cancel(ctx); /* whoever set them first makes the loop look, or has done so */
    } else if (flags & BH_RUN_IDLE) {
        aio__post_end_kick(ctx);
    } else {
        aio__post_end(ctx);
    }
}

void aio_bh_schedule(AioBh *bh)
{
    post(bh, BH_RUN);
}

void aio_bh_schedule_idle(AioBh *bh)
{
    post(bh, BH_RUN_IDLE);
}

void aio_bh_cancel(AioBh *bh)
{
    /* Acquire and release: pairs with post(); a schedule that this undoes is seen with all that was written before. */
    atomic_fetch_and_explicit(&bh->flags, ~(unsigned)(BH_RUN | BH_RUN_IDLE), memory_order_acq_rel);
}

void aio_bh_delete(AioBh *bh)
{
    post(bh, BH_DELETED);
}

void aio_bh_call(AioBh *bh)
{
    bh->cb(bh->opaque);
}

bool aio_bh_oneshot(AioContext *ctx, AioBhFunc *cb, void *opaque, const char *name, AioError **errp)
{
    AioBh *bh = bh_create(ctx, cb, opaque, name ? name : "one-shot bh", errp);
    if (!bh) {
        return false;
    }
    post(bh, BH_RUN | BH_ONESHOT);
    return true;
}

void aio_bh_schedule_oneshot(AioContext *ctx, AioBhFunc *cb, void *opaque)
{
    AioError *error = NULL;
    if (!aio_bh_oneshot(ctx, cb, opaque, NULL, &error)) {
        aio__record_error(ctx, error);
    }
}

/* Move what was pushed to the end of the running list, oldest first. */
static void take_pushed(AioBhQueue *queue)
{
    /* Acquire: pairs with push(). */
    AioBh *bh = atomic_exchange_explicit(&queue->pushed, NULL, memory_order_acquire);
    AioNode *before = queue->running.head.prev;
    while (bh) {
        AioBh *next = bh->pushed_next;
        bh->node.prev = before;
        bh->node.next = before->next;
        before->next->prev = &bh->node;
        before->next = &bh->node;
        bh = next;
    }
}

static void bh_free(AioBh *bh)
{
    /* Not asked of the node: others change its links while they make or free their own. */
    if (!(atomic_load_explicit(&bh->flags, memory_order_relaxed) & BH_ONESHOT)) {
        aio__mutex_lock(&bh->ctx->lock);
        aio__node_unlink(&bh->all_node);
        aio__mutex_unlock(&bh->ctx->lock);
    }
    aio__free(bh);
}

static void run(AioContext *ctx, AioBh *bh)
{
    AioBhGuard *guard = bh->guard;
    aio__count(ctx, bh_calls);
    if (!guard) {
        aio_bh_call(bh);
        return;
    }
    if (guard->engaged) {
        AioError *error = NULL;
        aio_error_set(&error, EDEADLK, "Bottom half '%s' ran into its own guard", bh->name);
        aio__record_error(ctx, error);
        return;
    }
    guard->engaged = true;
    aio_bh_call(bh);
    guard->engaged = false;
}

/* Clear what brought it here, so that it can be scheduled again, and return the flags it had. */
static unsigned take_off(AioBh *bh)
{
    const unsigned taken = BH_PENDING | BH_RUN | BH_RUN_IDLE;
    /* Acquire for the scheduler's writes, release of `pushed_next`: pairs with post(). */
    return atomic_fetch_and_explicit(&bh->flags, ~taken, memory_order_acq_rel);
}

int aio_bh_poll(AioContext *ctx)
{
    AioBhQueue *queue = &ctx->bh;
    bool progress = false;
    AioNode *node;
    assert(aio__at_home(ctx));
    if (atomic_load_explicit(&queue->pushed, memory_order_relaxed)) {
        take_pushed(queue);
    }
    queue->depth++;
    while ((node = aio__list_pop(&queue->running))) {
        AioBh *bh = bh_of_node(node);
        unsigned flags = take_off(bh);
        if ((flags & (BH_RUN | BH_RUN_IDLE)) && !(flags & BH_DELETED)) {
            progress |= !!(flags & BH_RUN);
            run(ctx,
                bh); /* may delete it, and free it in a nested call: only `flags` is safe now */
        }
        if (flags & (BH_DELETED | BH_ONESHOT)) {
            bh_free(bh);
        }
    }
    queue->depth--;
    return progress;
}

/* The part of a time-out that one bottom half stands for. */
static int64_t timeout_of(const AioBh *bh)
{
    unsigned flags = atomic_load_explicit(&bh->flags, memory_order_relaxed);
    if (flags & (BH_RUN | BH_DELETED)) {
        return 0;
    }
    return flags & BH_RUN_IDLE ? IDLE_PERIOD_NS : -1;
}

int64_t aio__bh_timeout_ns(AioContext *ctx)
{
    AioBhQueue *queue = &ctx->bh;
    int64_t timeout = -1;
    for (AioNode *node = aio__list_first(&queue->running); node && timeout != 0;
         node = aio__list_next(&queue->running, node)) {
        timeout = aio_soonest_timeout(timeout, timeout_of(bh_of_node(node)));
    }
    /* Acquire: pairs with push(). Nodes leave this list in this thread only, so it can be walked. */
    for (AioBh *bh = atomic_load_explicit(&queue->pushed, memory_order_acquire); bh && timeout != 0;
         bh = bh->pushed_next) {
        timeout = aio_soonest_timeout(timeout, timeout_of(bh));
    }
    return timeout;
}

bool aio__bh_pending(AioContext *ctx)
{
    return aio__bh_timeout_ns(ctx) != -1;
}

void aio__bh_init(AioContext *ctx)
{
    aio__list_init(&ctx->bh.running);
    aio__list_init(&ctx->bh.all);
}

void aio__bh_destroy(AioContext *ctx)
{
    AioBhQueue *queue = &ctx->bh;
    const char *left = NULL;
    AioNode *node;
    if (queue->depth > 0) {
        aio__fatal("Context '%s' freed by one of its own bottom halves", ctx->name);
    }
    take_pushed(queue);
    while ((node = aio__list_pop(&queue->running))) {
        AioBh *bh = bh_of_node(node);
        unsigned flags = take_off(bh);
        if (flags & BH_DELETED) {
            bh_free(bh);
        } else if (flags & BH_ONESHOT) {
            left = bh->name;
        }
    }
    node = aio__list_first(&queue->all);
    if (node) {
        left = bh_of_all_node(node)->name;
    }
    if (left && !aio__is_copy(ctx)) {
        aio__fatal("Context '%s' freed while its bottom half '%s' was not deleted", ctx->name,
                   left);
    }
}
