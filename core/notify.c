/*
 * Waking a loop without losing a wake-up and without a system call that is not needed.
 *
 * A poster first makes its work visible, then changes the word with one read-modify-write; a sleeper first
 * announces itself with one, then looks for work. Whichever comes second in the word's modification
 * order sees the other: either the sleeper finds NEWS or KICK and does not sleep on old knowledge, or the
 * poster finds the announcement and writes the notifier. Only the poster that finds neither NEWS nor KICK
 * writes, since whoever set them either wrote or found nobody who could sleep; and a sleeper clears KICK
 * only together with a look at NEWS, before it looks for work.
 *
 * Every change of the word is a read-modify-write, so that an acquire by the loop sees the work of all
 * posters before it (they form one release sequence).
 *
 * Where the poller has a way of its own to be woken, the notifier is for hosts, and what is written depends on who the
 * poster found: SLEEPERS are woken, a HOST finds its notifier set. That needs no further argument. Whoever announces
 * himself as the one while NEWS or KICK stands that was written for the other sees it, and does not sleep on it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/notify.h"

#include <assert.h>
#include <errno.h>

#include "core/context.h"
#include "core/error_text.h"

static void watch_notifier(AioContext *ctx)
{
    AioNotify *notify = &ctx->notify;
    unsigned wanted = AIO_WATCH_READ | (notify->drained ? 0 : AIO_WATCH_EDGE);
    ctx->poller->ops->update(ctx->poller, &notify->watch, wanted);
}

int aio__notify_init(AioContext *ctx)
{
    AioNotify *notify = &ctx->notify;
    int error = aio_notifier_init(&notify->notifier, false);
    if (error) {
        return error;
    }
    if (ctx->poller->ops->wake) {
        return 0;
    }
    notify->drained =
        !(ctx->poller->ops->flags & AIO_POLLER_EDGE) || !aio__notifier_has_edges(&notify->notifier);
    notify->watch.handle = aio_notifier_handle(&notify->notifier);
    notify->watch.kind = aio_notifier_handle_kind();
    watch_notifier(ctx);
    if (notify->watch.state == AIO_WATCH_IDLE) { /* the next wait would report it, but to whom? */
        aio_notifier_cleanup(&notify->notifier);
        return notify->watch.error;
    }
    return 0;
}

void aio__notify_destroy(AioContext *ctx)
{
    aio_notifier_cleanup(&ctx->notify.notifier);
}

void aio__post_begin(AioContext *ctx)
{
    /* Relaxed: the push that follows is a release, so who sees it sees this count, too. */
    atomic_fetch_add_explicit(&ctx->notify.state, AIO_NOTIFY_POSTER, memory_order_relaxed);
}

void aio__post_cancel(AioContext *ctx)
{
    /* Release: pairs with aio__post_wait(). */
    atomic_fetch_sub_explicit(&ctx->notify.state, AIO_NOTIFY_POSTER, memory_order_release);
}

/* Wake those of whom `state` says that they may sleep. */
static void write_to(AioContext *ctx, uint32_t state)
{
    AioPoller *poller = ctx->poller;
    if (poller->ops->wake && (state & AIO_NOTIFY_SLEEPERS)) {
        poller->ops->wake(poller);
    }
    if (!poller->ops->wake || (state & AIO_NOTIFY_HOST)) {
        aio_notifier_set(&ctx->notify.notifier);
    }
    aio__count_any(ctx, notifier_writes);
}

static bool must_write(uint32_t state)
{
    return (state & (AIO_NOTIFY_HOST | AIO_NOTIFY_SLEEPERS)) &&
           !(state & (AIO_NOTIFY_NEWS | AIO_NOTIFY_KICK));
}

/* Set `bits` and leave the posters, `inside` already or not; stay inside for as long as the write takes. */
static void post(AioContext *ctx, uint32_t bits, bool inside)
{
    uint32_t old = atomic_load_explicit(&ctx->notify.state, memory_order_relaxed);
    uint32_t new;
    do {
        new = old | bits;
        if (must_write(old)) {
            new += inside ? 0 : AIO_NOTIFY_POSTER;
        } else {
            new -= inside ? AIO_NOTIFY_POSTER : 0;
        }
        /* Release: pairs with aio__sleep_begin(), aio__kick_accept(), aio_notify_accept(). */
    } while (!atomic_compare_exchange_weak_explicit(&ctx->notify.state, &old, new,
                                                    memory_order_release, memory_order_relaxed));
    if (must_write(old)) {
        write_to(ctx, old);
        aio__post_cancel(ctx);
    }
}

void aio__post_end(AioContext *ctx)
{
    post(ctx, AIO_NOTIFY_NEWS, true);
}

void aio__post_end_kick(AioContext *ctx)
{
    post(ctx, AIO_NOTIFY_KICK, true);
}

void aio_notify(AioContext *ctx)
{
    post(ctx, AIO_NOTIFY_NEWS, false);
}

void aio__kick(AioContext *ctx)
{
    /* At home and awake: the loop looks at everything before it sleeps, since we are in its way. */
    if (aio__is_home(ctx) && !ctx->busy.looking &&
        !(atomic_load_explicit(&ctx->notify.state, memory_order_relaxed) &
          (AIO_NOTIFY_HOST | AIO_NOTIFY_SLEEPERS))) {
        return;
    }
    post(ctx, AIO_NOTIFY_KICK, false);
}

void aio__post_wait(AioContext *ctx)
{
    /* Acquire: pairs with aio__post_cancel() and post(). */
    while (atomic_load_explicit(&ctx->notify.state, memory_order_acquire) & AIO_NOTIFY_POSTERS) {
        aio__thread_yield();
    }
}

bool aio__kick_accept(AioContext *ctx)
{
    /* Acquire: pairs with post(). */
    uint32_t old = atomic_fetch_and_explicit(&ctx->notify.state, ~(uint32_t)AIO_NOTIFY_KICK,
                                             memory_order_acquire);
    return old & AIO_NOTIFY_NEWS;
}

bool aio__sleep_begin(AioContext *ctx, uint32_t bit)
{
    uint32_t old;
    if (bit == AIO_NOTIFY_HOST) { /* a host may prepare again and again */
        /* Acquire and release: pairs with post(), as does the next. */
        old = atomic_fetch_or_explicit(&ctx->notify.state, bit, memory_order_acq_rel);
    } else {
        old = atomic_fetch_add_explicit(&ctx->notify.state, bit, memory_order_acq_rel);
    }
    /* A KICK left standing would keep the next poster from writing. */
    return old & AIO_NOTIFY_KICK ? aio__kick_accept(ctx) : old & AIO_NOTIFY_NEWS;
}

void aio__sleep_end(AioContext *ctx, uint32_t bit)
{
    if (bit == AIO_NOTIFY_HOST) {
        atomic_fetch_and_explicit(&ctx->notify.state, ~bit, memory_order_relaxed);
    } else {
        atomic_fetch_sub_explicit(&ctx->notify.state, bit, memory_order_relaxed);
    }
}

#define POSTED ((uint32_t)(AIO_NOTIFY_NEWS | AIO_NOTIFY_KICK))

bool aio__notified(const AioContext *ctx)
{
    return atomic_load_explicit(&ctx->notify.state, memory_order_relaxed) & POSTED;
}

bool aio__has_news(const AioContext *ctx)
{
    return atomic_load_explicit(&ctx->notify.state, memory_order_relaxed) & AIO_NOTIFY_NEWS;
}

void aio_notify_accept(AioContext *ctx)
{
    assert(aio__at_home(ctx));
    if (aio__notified(ctx)) { /* a set that this misses stays for the next iteration */
        /* Acquire: pairs with post(). */
        atomic_fetch_and_explicit(&ctx->notify.state, ~POSTED, memory_order_acquire);
    }
}

/* The poller lost it: a poller that was made anew without memory, or the handle was closed under us. */
static void notifier_lost(AioContext *ctx)
{
    AioError *error = NULL;
    int code = ctx->notify.watch.error;
    aio_error_set(&error, -code, "The wake-up of context '%s' can't be watched: %s", ctx->name,
                  aio__error_text(-code));
    aio__record_error(ctx, error);
    if (code != -EBADF) {
        watch_notifier(
            ctx); /* a spin until that succeeds is better than a loop that can't be woken */
    }
}

void aio__notify_host_woke(AioContext *ctx)
{
    /* Unwatched, it may have been set for this host, or late for what an earlier one saw by itself. */
    if (ctx->poller->ops->wake && aio_notifier_test_and_clear(&ctx->notify.notifier)) {
        aio__count(ctx, drains);
    }
}

void aio__notify_seen(AioContext *ctx)
{
    AioNotify *notify = &ctx->notify;
    if (!aio__node_linked(&notify->watch.ready_node)) {
        return;
    }
    aio__node_unlink(&notify->watch.ready_node);
    if (notify->watch.ready & AIO_WATCH_FAILED) {
        notifier_lost(ctx);
    } else if (notify->drained) {
        aio_notifier_test_and_clear(&notify->notifier);
        aio__count(ctx, drains);
    }
}
