/*
 * Adaptive busy-polling: looking for work for a little while before sleeping, since a sleep and its wake-up
 * cost more than most events take to come.
 *
 * It pays only where every source can be looked at, so one handler without `poll` turns it off. The window adapts to
 * the time B that iterations block (W the window, M its maximum): B <= W keeps it; B > M shrinks it, as the
 * events are too far apart for polling to catch; in between it grows.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/busy_poll.h"

#include <errno.h>
#include <inttypes.h>

#include "core/context.h"

#define FIRST_WINDOW_NS 4000
#define DEFAULT_GROW 2

static int64_t relaxed(const _Atomic int64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void set_window(AioBusyPoll *busy, int64_t window_ns)
{
    atomic_store_explicit(&busy->window_ns, window_ns, memory_order_relaxed);
}

void aio_context_set_poll_params(AioContext *ctx, int64_t max_ns, int64_t grow, int64_t shrink,
                                 AioError **errp)
{
    AioBusyPoll *busy = &ctx->busy;
    if (max_ns < 0 || grow < 0 || shrink < 0) {
        aio_error_set(errp, EINVAL,
                      "Negative polling parameter: max_ns %" PRId64 ", grow %" PRId64
                      ", shrink %" PRId64,
                      max_ns, grow, shrink);
        return;
    }
    atomic_store_explicit(&busy->max_ns, max_ns, memory_order_relaxed);
    atomic_store_explicit(&busy->grow, grow, memory_order_relaxed);
    atomic_store_explicit(&busy->shrink, shrink, memory_order_relaxed);
    set_window(busy, 0); /* for who asks now; the loop, which may be setting it, does so again */
    /* Release: pairs with aio__busy_poll_clock(). */
    atomic_fetch_add_explicit(&busy->generation, 1, memory_order_release);
    aio__kick(ctx);
}

int64_t aio__busy_poll_clock(AioContext *ctx)
{
    AioBusyPoll *busy = &ctx->busy;
    /* Acquire: pairs with aio_context_set_poll_params(). */
    unsigned generation = atomic_load_explicit(&busy->generation, memory_order_acquire);
    if (generation != busy->seen_generation) {
        busy->seen_generation = generation;
        set_window(busy, 0);
    }
    return relaxed(&busy->max_ns) > 0 ? aio__monotonic_ns() : 0;
}

int64_t aio__busy_poll_next_window(int64_t window, int64_t blocked, int64_t max, int64_t grow,
                                   int64_t shrink)
{
    if (blocked <= window) {
        return window;
    }
    if (blocked > max) {
        return shrink ? window / shrink : 0;
    }
    if (window >= max || blocked == max) {
        return window;
    }
    grow = grow ? grow : DEFAULT_GROW;
    if (window == 0) {
        return FIRST_WINDOW_NS < max ? FIRST_WINDOW_NS : max;
    }
    return window > max / grow ? max : window * grow;
}

void aio__busy_poll_adapt(AioContext *ctx, int64_t started)
{
    AioBusyPoll *busy = &ctx->busy;
    int64_t blocked = aio__monotonic_ns() - started;
    int64_t window = relaxed(&busy->window_ns);
    int64_t next = aio__busy_poll_next_window(window, blocked, relaxed(&busy->max_ns),
                                              relaxed(&busy->grow), relaxed(&busy->shrink));
    if (next != window) {
        set_window(busy, next);
    }
}

/* Ask one handler. One whose callback is on the stack is left alone: it would recur for ever. */
static bool look_at(AioContext *ctx, AioHandler *handler)
{
    bool found;
    if (handler->poll_running || !handler->spec.ops.poll || !aio__handler_servable(ctx, handler)) {
        return false;
    }
    unsigned generation = handler->generation;
    handler->poll_running = true;
    found = handler->spec.ops.poll(handler->spec.opaque);
    if (found) {
        aio__count(ctx, handler_calls);
        if (handler->generation == generation && handler->spec.ops.poll_ready &&
            aio__handler_servable(ctx, handler)) {
            handler->spec.ops.poll_ready(handler->spec.opaque);
        }
    }
    handler->poll_running = false;
    return found;
}

typedef bool Visit(AioContext *ctx, AioHandler *handler);

/* Visit all handlers, also those that a callback adds. The one that is visited stays in the list meanwhile. */
static bool visit_all(AioContext *ctx, Visit *visit)
{
    AioHandlers *handlers = &ctx->handlers;
    bool was_looking = ctx->busy.looking;
    bool found = false;
    ctx->busy.looking = true;
    for (AioNode *node = aio__list_first(&handlers->all); node;
         node = aio__list_next(&handlers->all, node)) {
        AioHandler *handler = aio__handler_of_node(node);
        handler->running++;
        found |= visit(ctx, handler);
        handler->running--;
    }
    ctx->busy.looking = was_looking;
    return found;
}

static bool begin_one(AioContext *ctx, AioHandler *handler)
{
    if (!handler->poll_begun && aio__handler_servable(ctx, handler)) {
        handler->poll_begun = true;
        aio__handler_call(handler, handler->spec.ops.poll_begin, handler->spec.notifier_poll_begin);
    }
    return false;
}

static bool end_one(AioContext *ctx, AioHandler *handler)
{
    (void)ctx;
    if (handler->poll_begun && handler->state == AIO_HANDLER_LIVE) {
        handler->poll_begun = false;
        aio__handler_call(handler, handler->spec.ops.poll_end, handler->spec.notifier_poll_end);
    }
    return false;
}

static bool begin_and_look(AioContext *ctx, AioHandler *handler)
{
    begin_one(ctx, handler);
    return look_at(ctx, handler);
}

/*
 * What a look leaves behind: whether something was posted or changed since the wake-ups were last taken note of, or
 * a nested iteration may have taken note of it.
 */
static bool disturbed(AioContext *ctx, uint64_t iterations)
{
    return aio__notified(ctx) ||
           atomic_load_explicit(&ctx->counters.iterations, memory_order_relaxed) != iterations;
}

/* Look until `limit` after `started` or a disturbance. Returns whether a handler had work. */
static bool look_until(AioContext *ctx, int64_t started, int64_t limit)
{
    uint64_t iterations = atomic_load_explicit(&ctx->counters.iterations, memory_order_relaxed);
    do {
        ctx->busy.state = AIO_BUSY_POLLING;
        if (visit_all(ctx, begin_and_look)) {
            return true;
        }
        aio__cpu_relax();
    } while (!disturbed(ctx, iterations) && aio__monotonic_ns() - started < limit);
    return false;
}

bool aio__busy_poll(AioContext *ctx)
{
    int64_t window = relaxed(&ctx->busy.window_ns);
    if (window == 0) {
        return false;
    }
    int64_t started = aio__monotonic_ns();
    for (int64_t spent = 0; spent < window; spent = aio__monotonic_ns() - started) {
        if (aio__notified(ctx) && aio__kick_accept(ctx)) {
            return false;
        }
        aio__handlers_apply(ctx);
        int64_t timeout = aio_compute_timeout(ctx);
        if (timeout == 0 || ctx->handlers.unpollable > 0) {
            return false;
        }
        if (spent == 0) {
            aio__count(ctx, busy_polls);
        }
        bool until_window = timeout < 0 || timeout > window - spent;
        if (look_until(ctx, started, until_window ? window : spent + timeout)) {
            return true;
        }
    }
    return false;
}

bool aio__busy_poll_end(AioContext *ctx, bool sleep)
{
    AioBusyPoll *busy = &ctx->busy;
    /* Again where a callback of the end busy-polled in a nested iteration: its sources were begun anew. */
    while (busy->state == AIO_BUSY_POLLING) {
        if (sleep) {
            busy->state = AIO_BUSY_WAITING;
            visit_all(ctx, end_one);
        }
        if (visit_all(ctx, look_at)) {
            return true;
        }
        if (!sleep) {
            return false;
        }
    }
    return false;
}
