/*
 * The iteration: the one place where the steps of a loop stand in their order.
 *
 * Why this order. Bottom halves come first, since they carry completions and changes that other threads made, and
 * a handler must not run on what such a change has overtaken. Handlers come before timers, so that data which
 * is there keeps a time-out from firing. Timers come last and are asked for after all callbacks, so that a
 * deadline which passed meanwhile is not put off for a whole iteration. Wake-ups are taken note of before
 * any of them: what is posted later sets the word again.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <errno.h>

#include "core/context.h"
#include "core/error_text.h"

/*
 * One blocking iteration of so many asks the kernel though it has work. Of those that found it by busy-polling fewer do:
 * that is there to save system calls, and a look does not find what a `poll` callback does not ask for (room
 * to write, a hang-up), but that must not wait for ever. At 64 an asking of a microsecond costs 16 ns an iteration,
 * less than a look does.
 */
#define ASK_WITH_WORK 8
#define ASK_WITH_WORK_FROM_A_LOOK 64

static AioContext *begin(AioContext *ctx, const char *what)
{
    aio__enter_home(ctx, what);
    ctx->depth++;
    return aio__set_running(ctx);
}

static void end(AioContext *ctx, AioContext *outer)
{
    aio__set_running(outer);
    ctx->depth--;
    if (ctx->dying && ctx->depth == 0) {
        aio__context_finalize(ctx); /* the last reference went in a callback */
    }
}

int64_t aio_compute_timeout(AioContext *ctx)
{
    assert(aio__at_home(ctx));
    int64_t timeout = aio__bh_timeout_ns(ctx);
    return timeout == 0 ? 0 : aio_soonest_timeout(timeout, aio__timers_timeout_ns(ctx));
}

/* Before a look at the system: apply what was changed, and hand it what was asked of it. */
static void settle(AioContext *ctx)
{
    aio__handlers_apply(ctx);
    aio__file_engine_flush(ctx);
}

/* A first look, before a sleep is announced: a busy loop has no need to. */
static bool has_work(AioContext *ctx)
{
    return aio__has_news(ctx) || aio_compute_timeout(ctx) == 0;
}

/* Ask the poller once. */
static int ask(AioContext *ctx, int64_t timeout)
{
    AioList *ready = &ctx->handlers.ready;
    if (!aio__list_empty(ready)) {
        aio__handlers_forget_level(ctx);
        timeout =
            aio__list_empty(ready) ? timeout : 0; /* edges found further out: not told again */
    }
    ctx->skipped_waits = 0;
    aio__count(ctx, waits);
    if (timeout != 0) {
        aio__count(ctx, sleeps);
    }
    int found = ctx->poller->ops->wait(ctx->poller, timeout, ready);
    aio__notify_seen(ctx);
    if (found < 0 && found != -EINTR) {
        AioError *error = NULL;
        aio_error_set(&error, -found, "Poller '%s' failed to wait: %s", ctx->poller->ops->name,
                      aio__error_text(-found));
        aio__record_error(ctx, error);
    }
    return found;
}

/*
 * Sleep until there is something to dispatch, news, or an error; kicks, signals and what no callback is there
 * for only renew the wait. Each time the sleep is announced first, or a kick taken note of, and only then
 * work looked for: what is posted in between finds the announcement. Returns whether the poller was asked.
 */
static bool wait(AioContext *ctx)
{
    bool asked = false;
    bool over = aio__sleep_begin(ctx, AIO_NOTIFY_SLEEPER);
    while (!over) {
        settle(ctx);
        int64_t timeout = aio_compute_timeout(ctx);
        if (timeout == 0) {
            break;
        }
        int found = ask(ctx, timeout);
        asked = true;
        over = (found < 0 && found != -EINTR) || aio__handlers_ready(ctx) ||
               aio__kick_accept(ctx) || aio__bh_pending(ctx);
    }
    aio__sleep_end(ctx, AIO_NOTIFY_SLEEPER);
    return asked;
}

/* Whether an iteration with work to do leaves the kernel alone, as all but one of `period` do. */
static bool skip_wait(AioContext *ctx, unsigned period)
{
    return ++ctx->skipped_waits < period;
}

static bool dispatch(AioContext *ctx)
{
    bool progress = aio_bh_poll(ctx);
    progress |= aio__handlers_dispatch(ctx) > 0;
    progress |= aio__timers_run(ctx) > 0;
    return progress;
}

bool aio_poll(AioContext *ctx, bool blocking)
{
    AioContext *outer = begin(ctx, "aio_poll");
    int64_t started = blocking ? aio__busy_poll_clock(ctx) : 0;
    aio__count(ctx, iterations);

    settle(ctx);
    bool progress = started != 0 && aio__busy_poll(ctx);
    if (progress) {
        if (!skip_wait(ctx, ASK_WITH_WORK_FROM_A_LOOK)) {
            ask(ctx, 0);
        }
    } else {
        bool asked = false;
        if (blocking && !has_work(ctx)) {
            progress = aio__busy_poll_end(ctx, true);
            asked = !progress && wait(ctx);
        }
        if (!asked && !(blocking && skip_wait(ctx, ASK_WITH_WORK))) {
            progress |= aio__busy_poll_end(ctx, false);
            ask(ctx, 0);
        }
    }
    if (started != 0) {
        aio__busy_poll_adapt(ctx, started);
    }
    aio_notify_accept(ctx);

    progress |= dispatch(ctx);
    if (ctx->loop_state == AIO_LOOP_PREPARED) {
        aio__kick(ctx); /* the host is about to sleep on what was true before: have it look again */
    }
    end(ctx, outer);
    return progress;
}

/* The same steps for a host loop, which waits by itself between aio_prepare() and aio_pending(). */

static void host_woke(AioContext *ctx)
{
    if (ctx->loop_state == AIO_LOOP_PREPARED) {
        aio__sleep_end(ctx, AIO_NOTIFY_HOST);
        ctx->loop_state = AIO_LOOP_IDLE;
        aio__notify_host_woke(ctx);
    }
    aio_notify_accept(ctx);
}

bool aio_prepare(AioContext *ctx)
{
    AioContext *outer = begin(ctx, "aio_prepare");
    bool found = aio__busy_poll_end(ctx, true);
    bool news = aio__sleep_begin(ctx, AIO_NOTIFY_HOST);
    ctx->loop_state = AIO_LOOP_PREPARED;
    settle(ctx);
    /* The host must not sleep on changes not submitted. */
    if (ctx->poller->ops->flush && ctx->poller->ops->flush(ctx->poller)) {
        found = true;
        ctx->skipped_waits = ASK_WITH_WORK; /* aio_dispatch() asks this time */
    }
    bool ready = found || news || aio__handlers_ready(ctx) || aio_compute_timeout(ctx) == 0;
    end(ctx, outer);
    return ready;
}

bool aio_pending(AioContext *ctx)
{
    AioContext *outer = begin(ctx, "aio_pending");
    settle(ctx);
    ask(ctx, 0);
    host_woke(ctx);
    bool pending = aio__bh_pending(ctx) || aio__handlers_ready(ctx) || aio__timers_due(ctx);
    end(ctx, outer);
    return pending;
}

void aio_dispatch(AioContext *ctx)
{
    AioContext *outer = begin(ctx, "aio_dispatch");
    aio__count(ctx, iterations);
    /* A host that always finds work in aio_prepare() never gets to aio_pending(). */
    if (ctx->loop_state == AIO_LOOP_PREPARED && !skip_wait(ctx, ASK_WITH_WORK)) {
        settle(ctx);
        ask(ctx, 0);
    }
    host_woke(ctx);
    dispatch(ctx);
    end(ctx, outer);
}

void aio__run_begin(AioContext *ctx)
{
    aio_context_ref(ctx);                    /* a callback may drop the caller's */
    aio__enter_home(ctx, "aio_context_run"); /* before it takes note of a stop */
    ctx->runs++;
}

void aio__run_end(AioContext *ctx)
{
    if (--ctx->runs == 0) {
        /* Acquire: pairs with aio_context_stop(), of which one more may have come meanwhile. */
        atomic_exchange_explicit(&ctx->stop, false, memory_order_acquire);
    }
    aio_context_unref(ctx);
}

void aio_context_run(AioContext *ctx)
{
    aio__run_begin(ctx);
    /* Acquire: pairs with aio_context_stop(). It stands for the runs further out. */
    while (!atomic_load_explicit(&ctx->stop, memory_order_acquire)) {
        aio_poll(ctx, true);
    }
    aio__run_end(ctx);
}

void aio_context_stop(AioContext *ctx)
{
    aio__post_begin(ctx);
    /* Release: pairs with aio_context_run() and aio__run_end(). */
    atomic_store_explicit(&ctx->stop, true, memory_order_release);
    aio__post_end(ctx);
}

void aio_quiesce_begin(AioContext *ctx)
{
    aio__enter_home(ctx, "aio_quiesce_begin");
    aio_context_ref(ctx); /* a callback may drop the caller's */
    ctx->quiesce_depth++;
    aio_disable_external(ctx);
    while (aio_poll(ctx, ctx->requests_in_flight > 0) || ctx->requests_in_flight > 0) {
        continue;
    }
    aio_context_unref(ctx);
}

void aio_quiesce_end(AioContext *ctx)
{
    assert(aio__at_home(ctx));
    assert(ctx->quiesce_depth > 0);
    ctx->quiesce_depth--;
    aio_enable_external(ctx);
}
