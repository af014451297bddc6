/*
 * Coroutines that wait for a descriptor: one for each direction, on one handler.
 *
 * It makes no handler of its own where the other direction has one, and takes none that a user has set. A wait
 * lies on its coroutine's stack. As long as it is WAITING the handler is registered and knows it; whoever
 * ends it takes it out first, since the coroutine may close the descriptor at once.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <errno.h>

#include "core/context.h"
#include "core/coroutine.h"
#include "core/handler.h"

/*
 *              on_readable(), on_writable(), on_error(): the coroutine is woken
 *              on_gone(), somebody has removed or replaced the handler: it is scheduled
 *              the coroutine itself, woken by somebody else: it goes on
 *   WAITING -----------------------------------------------------------------------> OVER
 *
 * All of that is in the home thread.
 */
typedef enum WaitState {
    WAIT_WAITING,
    WAIT_OVER,
} WaitState;

typedef struct HandleWait {
    AioContext *ctx;          /* borrowed: the coroutine's */
    AioHandler *handler;      /* borrowed while WAITING */
    AioCoroutine *co;         /* borrowed while WAITING */
    struct HandleWait *other; /* linked: of the other direction, while both are WAITING; or NULL */
    bool writes;
    WaitState state;
    int result;
    const char *by; /* borrowed: a function's name */
} HandleWait;

static void on_readable(void *opaque);
static void on_writable(void *opaque);

/* Have the handler call for this wait and, where there is one, for the other. */
static void attend(HandleWait *wait)
{
    bool both = wait->other;
    aio__handler_redirect(wait->ctx, wait->handler, both || !wait->writes ? on_readable : NULL,
                          both || wait->writes ? on_writable : NULL, wait);
}

static void leave(HandleWait *wait, int result)
{
    HandleWait *other = wait->other;
    wait->state = WAIT_OVER;
    wait->result = result;
    wait->other = NULL;
    if (other) {
        other->other = NULL;
        attend(other);
    } else {
        aio__handler_retire(wait->ctx, wait->handler);
    }
    aio__kick(wait->ctx);
}

static void finish(HandleWait *wait, int result)
{
    leave(wait, result);
    if (!aio__co_is_woken(wait->co)) { /* else somebody cancels it, and that goes on */
        aio__co_wake(wait->ctx, wait->co, wait->by);
    }
}

static HandleWait *wait_for_direction(HandleWait *any, bool writes)
{
    return any->writes == writes ? any : any->other;
}

static void on_readable(void *opaque)
{
    finish(wait_for_direction(opaque, false), 0);
}

static void on_writable(void *opaque)
{
    finish(wait_for_direction(opaque, true), 0);
}

/* The first to be woken may end the other wait; the handler, which is being called, stays to tell. */
static void on_error(void *opaque, int error)
{
    HandleWait *first = opaque;
    AioHandler *handler = first->handler;
    bool writes = first->writes;
    finish(first, error);
    if (handler->state != AIO_HANDLER_REMOVED) {
        finish(wait_for_direction(handler->spec.opaque, !writes), error);
    }
}

static void cancel(HandleWait *wait)
{
    wait->state = WAIT_OVER;
    wait->other = NULL;
    if (!aio__co_is_woken(wait->co)) {
        /* Not entered here: whoever removes a handler may be anywhere. */
        aio__co_schedule(wait->ctx, wait->co, wait->by);
    }
}

static void on_gone(void *opaque)
{
    HandleWait *wait = opaque;
    HandleWait *other = wait->other;
    cancel(wait);
    if (other) {
        cancel(other);
    }
}

static int join(HandleWait *wait, AioHandler *handler)
{
    if (handler->spec.gone != on_gone) {
        return -EBUSY;
    }
    HandleWait *first = handler->spec.opaque;
    if (first->other || first->writes == wait->writes) {
        return -EBUSY;
    }
    if (handler->state == AIO_HANDLER_FAILED) {
        return handler->watch.error; /* the other is about to be told */
    }
    first->other = wait;
    wait->other = first;
    wait->handler = handler;
    attend(wait);
    return 0;
}

static int begin(HandleWait *wait, AioHandle handle, AioHandleKind kind)
{
    int ret = aio__handle_check(handle, &kind);
    if (ret < 0) {
        return ret;
    }
    AioHandler *handler = aio__handler_at_home(wait->ctx, handle, kind);
    if (handler) {
        ret = join(wait, handler);
    } else {
        AioHandlerSpec spec = {
            .handle = handle,
            .kind = kind,
            .ops = {.read = wait->writes ? NULL : on_readable,
                    .write = wait->writes ? on_writable : NULL,
                    .error = on_error},
            .gone = on_gone,
            .opaque = wait,
        };
        wait->handler = aio__handler_create(&spec);
        if (!wait->handler) {
            return -ENOMEM;
        }
        aio__handler_add(wait->ctx, wait->handler);
    }
    aio__kick(wait->ctx);
    return ret;
}

static int wait_for_handle(AioHandle handle, AioHandleKind kind, bool writes, const char *by)
{
    assert(aio_co_in_coroutine());
    AioCoroutine *self = aio_co_self();
    HandleWait wait = {
        .ctx = aio__co_loop(self), .co = self, .writes = writes, .result = -ECANCELED, .by = by};
    assert(aio__is_home(wait.ctx));
    int ret = begin(&wait, handle, kind);
    if (ret < 0) {
        return ret;
    }
    aio_co_yield();
    if (wait.state == WAIT_WAITING) { /* somebody else woke it */
        assert(aio__is_home(wait.ctx));
        leave(&wait, -ECANCELED);
    }
    return wait.result;
}

int aio_co_wait_readable(AioHandle handle, AioHandleKind kind)
{
    return wait_for_handle(handle, kind, false, __func__);
}

int aio_co_wait_writable(AioHandle handle, AioHandleKind kind)
{
    return wait_for_handle(handle, kind, true, __func__);
}
