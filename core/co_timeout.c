/*
 * A coroutine that is given a time: run in a coroutine of its own, waited for, and told to end when time is up.
 *
 * It does not end the work by force: whoever asked waits for it in any case. What waits lies on the waiter's
 * stack; its timer is gone before the waiter goes on, since it is removed in the home thread, where its
 * callback runs.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>

#include "aioctx/timer.h"
#include "core/coroutine.h"

/*
 *   RUNNING --- the parent has nothing left to do ---> WAITED_FOR <----------> CANCELLING
 *      |                                                    |    time is up,      |
 *      |                                                    |    cancel returned  |
 *      |  the child's function returns                      |  the same           |  the same
 *      v                                                    v                     v
 *     DONE: the parent sees it                 DONE: the child wakes it   DONE: the timer wakes it
 *
 * Parent and timer are in one thread; the child may have moved to another one, so each moves it with one
 * read-modify-write. While cancel runs, the parent, who owns what cancel looks at, stays where it is.
 */
typedef enum ChildPhase {
    CHILD_RUNNING,
    CHILD_WAITED_FOR,
    CHILD_CANCELLING,
    CHILD_DONE,
} ChildPhase;

typedef struct Child {
    AioCoroutineFunc *entry;
    AioCoTimeoutFunc *cancel;
    void *opaque;         /* borrowed: the caller's, until DONE */
    AioCoroutine *parent; /* borrowed: it waits until DONE */
    _Atomic(ChildPhase) phase;
    bool timed_out;
} Child;

static void wake_parent(AioCoroutine *parent)
{
    aio__co_wake(aio_co_context(parent), parent, "aio_co_timeout");
}

static void run_child(void *opaque)
{
    Child *child = opaque;
    child->entry(child->opaque);
    AioCoroutine *parent = child->parent;
    /* Release for what the child did, acquire for the parent's context: pairs with move(). */
    if (atomic_exchange_explicit(&child->phase, CHILD_DONE, memory_order_acq_rel) ==
        CHILD_WAITED_FOR) {
        wake_parent(parent);
    }
}

/* Returns whether it was in `from` still; else the child is done. */
static bool move(Child *child, ChildPhase from, ChildPhase to)
{
    /* Acquire and release: pairs with run_child(). */
    return atomic_compare_exchange_strong_explicit(&child->phase, &from, to, memory_order_acq_rel,
                                                   memory_order_acquire);
}

static void time_is_up(void *opaque)
{
    Child *child = opaque;
    AioCoroutine *parent = child->parent;
    if (move(child, CHILD_WAITED_FOR, CHILD_CANCELLING)) {
        child->timed_out = true;
        child->cancel(child->opaque);
        if (!move(child, CHILD_CANCELLING, CHILD_WAITED_FOR)) {
            wake_parent(parent);
        }
    }
}

static void wait_for(Child *child, int64_t deadline_ns)
{
    AioTimer timer;
    if (deadline_ns >= 0) {
        aio_timer_init(aio__co_loop(child->parent), &timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS,
                       time_is_up, child);
        aio_timer_mod_ns(&timer, deadline_ns);
    }
    if (move(child, CHILD_RUNNING, CHILD_WAITED_FOR)) {
        aio_co_yield();
    }
    if (deadline_ns >= 0) {
        aio_timer_deinit(&timer);
    }
}

/* -1: never. */
static int64_t deadline_of(int64_t duration_ns)
{
    if (duration_ns < 0) {
        return -1;
    }
    int64_t now = aio_clock_get_ns(AIO_CLOCK_REALTIME);
    return duration_ns > INT64_MAX - now ? INT64_MAX : now + duration_ns;
}

int aio_co_timeout(AioCoroutineFunc *entry, AioCoTimeoutFunc *cancel, void *opaque,
                   int64_t duration_ns)
{
    assert(aio_co_in_coroutine());
    Child child = {.entry = entry, .cancel = cancel, .opaque = opaque, .parent = aio_co_self()};
    AioCoroutine *co = aio_co_create(run_child, &child);
    if (!co) {
        return -ENOMEM;
    }
    int64_t deadline_ns = deadline_of(duration_ns);
    aio_co_resume(co);
    /* Acquire: pairs with run_child(). */
    if (atomic_load_explicit(&child.phase, memory_order_acquire) != CHILD_DONE) {
        wait_for(&child, deadline_ns);
    }
    return child.timed_out ? -ETIMEDOUT : 0;
}
