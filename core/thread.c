/*
 * A thread that runs a context. It does not know what the context is for: it binds it, runs it until it is
 * told to stop, then runs it until nothing is left to do, and gives it up.
 *
 * Stopping is a bottom half of the context, made together with the thread: so it needs no memory, comes
 * after what was scheduled before it, and can't be lost.
 *
 * SPDX-License-Identifier: MIT
 */
#include "aioctx/thread.h"

#include <assert.h>
#include <errno.h>

#include "core/alloc.h"
#include "core/context.h"
#include "core/error_text.h"

#define POLL_MAX_NS 32768
#define MAX_DRAIN_ROUNDS 1000

/*
 *   STARTING ──the thread is home──▶ RUNNING ──its stop ran, or aio_context_stop()──▶ DRAINING
 *                                                                                       │
 *   (freed by aio_thread_join()) ◀──the system's thread is joined── ENDED ◀──no work left┘
 *
 * Only the thread moves it on; aio_thread_start() waits for RUNNING.
 */
typedef enum ThreadState { STARTING, RUNNING, DRAINING, ENDED } ThreadState;

struct AioThread {
    AioContext *ctx; /* owned: one reference */
    AioBh *stop;     /* owned */
    AioOsThread os;
    AioMutex lock;
    AioCond started;
    ThreadState state; /* under the lock until it is RUNNING, then the thread's own */
};

static void stop_running(void *opaque)
{
    aio_context_stop(opaque);
}

/* Run what is left. A handler that is always ready makes no end by itself, so it is no reason to go on for ever. */
static void drain(AioContext *ctx)
{
    unsigned rounds = 0;
    bool progress, more;
    do {
        progress = aio_poll(ctx, ctx->requests_in_flight > 0);
        more = ctx->requests_in_flight > 0 || aio__bh_pending(ctx) || aio__timers_due(ctx);
    } while (more || (progress && ++rounds < MAX_DRAIN_ROUNDS));
}

static void run_thread(void *opaque)
{
    AioThread *thread = opaque;
    AioContext *ctx = thread->ctx;
    aio_context_bind(ctx);
    aio__mutex_lock(&thread->lock);
    thread->state = RUNNING;
    aio__cond_signal(&thread->started);
    aio__mutex_unlock(&thread->lock);
    aio__run_begin(
        ctx); /* so that the stop stands to the end: a run started by what is left returns */
    aio_context_run(ctx);
    thread->state = DRAINING;
    drain(ctx);
    aio__run_end(ctx);
    thread->state = ENDED;
    aio_context_unbind(ctx);
}

static void wait_until_running(AioThread *thread)
{
    aio__mutex_lock(&thread->lock);
    while (thread->state == STARTING) {
        aio__cond_wait(&thread->started, &thread->lock);
    }
    aio__mutex_unlock(&thread->lock);
}

AioThread *aio_thread_start(const AioContextOptions *options, AioError **errp)
{
    if (options && options->size >= sizeof(*options) && (options->flags & AIO_CONTEXT_SHARED)) {
        aio_error_set(errp, EINVAL, "A shared context has no home thread");
        return NULL;
    }
    AioThread *thread = aio__calloc(1, sizeof(*thread));
    if (!thread) {
        aio_error_set(errp, ENOMEM, "No memory for a thread");
        return NULL;
    }
    thread->ctx = aio_context_new_with_options(options, errp);
    if (!thread->ctx) {
        goto no_context;
    }
    aio_context_set_poll_params(thread->ctx, POLL_MAX_NS, 0, 0, NULL);
    thread->stop =
        aio_bh_new_full(thread->ctx, stop_running, thread->ctx, "thread stop", NULL, errp);
    if (!thread->stop) {
        goto no_stop;
    }
    aio__mutex_init(&thread->lock);
    aio__cond_init(&thread->started);
    int error = aio__thread_start(&thread->os, thread->ctx->name, run_thread, thread);
    if (error) {
        aio_error_set(errp, -error, "Thread for context '%s' can't be started: %s",
                      thread->ctx->name, aio__error_text(-error));
        goto no_thread;
    }
    wait_until_running(thread);
    return thread;

no_thread:
    aio__cond_destroy(&thread->started);
    aio__mutex_destroy(&thread->lock);
    aio_bh_delete(thread->stop);
no_stop:
    aio_context_unref(thread->ctx);
no_context:
    aio__free(thread);
    return NULL;
}

AioContext *aio_thread_context(AioThread *thread)
{
    return thread->ctx;
}

void aio_thread_stop(AioThread *thread)
{
    aio_bh_schedule(thread->stop);
}

void aio_thread_join(AioThread *thread)
{
    assert(!aio__is_home(thread->ctx));
    aio_thread_stop(thread);
    aio__thread_join(&thread->os);
    aio_bh_delete(thread->stop);
    aio__cond_destroy(&thread->started);
    aio__mutex_destroy(&thread->lock);
    aio_context_unref(thread->ctx);
    aio__free(thread);
}
