/*
 * Entering, yielding and ending coroutines, and the order in which those run that were woken meanwhile.
 *
 * Whoever leaves does all the bookkeeping before the switch, including the choice of who is next: first what
 * it woke, then what others before it woke on behalf of the same enterer, then the enterer. So nothing
 * happens after a switch, nothing of a coroutine is touched once it was left, chains of wake-ups need no
 * stack, and both directions end in a jump.
 *
 * Every function that looks at the thread-local is out of line, and does so before it switches: after a yield
 * the thread may be another.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/coroutine.h"

#include <assert.h>

#include "aioctx/error.h"
#include "core/context.h"

/*
 * The flow of control of this thread. Volatile, so that no compiler finds out that a function is a mere
 * constant within one thread.
 */
static _Thread_local struct {
    AioCoroutine *volatile current; /* NULL: &leader, before its first use */
    AioCoroutine leader;            /* stands for the thread itself */
} here = {.leader = {.phase = AIO_CO_THREAD}};

static inline AioCoroutine *self(void)
{
    AioCoroutine *co = here.current;
    return co ? co : &here.leader;
}

static inline AioCoPhase phase_of(AioCoroutine *co)
{
    return atomic_load_explicit(&co->phase, memory_order_relaxed);
}

static inline void set_phase(AioCoroutine *co, AioCoPhase phase)
{
    atomic_store_explicit(&co->phase, phase, memory_order_relaxed);
}

static inline const char *woken_by(AioCoroutine *co)
{
    return atomic_load_explicit(&co->woken_by, memory_order_relaxed);
}

static void refuse_woken(AioCoroutine *co, const char *by)
{
    aio__fatal("%s: coroutine %#jx is scheduled already, by %s", by, (uintmax_t)(uintptr_t)co,
               woken_by(co));
}

static void refuse_phase(AioCoroutine *co, const char *by)
{
    switch (phase_of(co)) {
    case AIO_CO_ENTERED:
        aio__fatal("%s: coroutine %#jx was entered by %s and has not yielded", by,
                   (uintmax_t)(uintptr_t)co, co->entered_by);
    case AIO_CO_ENDED:
        aio__fatal("%s: coroutine %#jx has ended; the last to enter it was %s", by,
                   (uintmax_t)(uintptr_t)co, co->entered_by);
    default:
        aio__fatal("%s: %#jx is a thread, not a coroutine", by, (uintmax_t)(uintptr_t)co);
    }
}

/* For a switch to it that follows. */
static inline void set_entered(AioCoroutine *co, AioCoroutine *enterer, const char *by)
{
    if (phase_of(co) > AIO_CO_SUSPENDED) {
        refuse_phase(co, by);
    }
    co->enterer = enterer;
    co->entered_by = by;
    set_phase(co, AIO_CO_ENTERED);
}

static inline void enter(AioCoroutine *from, AioCoroutine *co, AioContext *ctx, const char *by)
{
    if (woken_by(co)) {
        refuse_woken(co, by);
    }
    set_entered(co, from, by);
    atomic_store_explicit(&co->ctx, ctx, memory_order_relaxed);
    here.current = co;
    aio__co_switch(&from->state, &co->state);
}

AIO__NOT_INLINED void aio__co_enter(AioCoroutine *co, AioContext *ctx, const char *by)
{
    enter(self(), co, ctx, by);
}

AIO__NOT_INLINED void aio_co_resume(AioCoroutine *co)
{
    AioCoroutine *from = self();
    AioContext *ctx =
        phase_of(from) == AIO_CO_THREAD ? aio_context_current() : aio_co_context(from);
    enter(from, co, ctx, __func__);
}

static const char *take_woken(AioCoroutine *co)
{
    const char *by = woken_by(co);
    atomic_store_explicit(&co->woken_by, NULL, memory_order_relaxed);
    return by;
}

bool aio__co_is_woken(AioCoroutine *co)
{
    return woken_by(co);
}

void aio__co_enter_woken(AioCoroutine *co, AioContext *ctx)
{
    aio__co_enter(co, ctx, take_woken(co));
}

void aio__co_set_woken(AioCoroutine *co, const char *by)
{
    if (phase_of(co) > AIO_CO_ENTERED) {
        refuse_phase(co, by);
    }
    const char *before = NULL;
    /* Relaxed: what the coroutine is to see travels with the list that it goes into. */
    if (!atomic_compare_exchange_strong_explicit(&co->woken_by, &before, by, memory_order_relaxed,
                                                 memory_order_relaxed)) {
        refuse_woken(co, by);
    }
}

/* Whether `co` is `from`, or waits for it to yield. */
static bool is_in_chain(AioCoroutine *from, AioCoroutine *co)
{
    while (from && from != co) {
        from = from->enterer;
    }
    return from;
}

AIO__NOT_INLINED void aio__co_enter_later(AioCoroutine *co, AioContext *ctx, const char *by)
{
    AioCoroutine *waker = self();
    aio__co_set_woken(co, by);
    if (phase_of(co) == AIO_CO_ENTERED) {
        /* It started something that is complete before it came to yield: then it will not stay away. */
        if (!is_in_chain(waker, co)) {
            refuse_phase(co, by);
        }
        waker = co;
    }
    atomic_store_explicit(&co->ctx, ctx, memory_order_relaxed);
    co->next = NULL;
    if (waker->woken) {
        waker->woken_last->next = co;
    } else {
        waker->woken = co;
    }
    waker->woken_last = co;
}

/* The newest group goes first, so that a chain of wake-ups is followed to its end. Takes the first of it. */
static AioCoroutine *next_due(AioCoroutine *from, AioCoroutine *enterer)
{
    if (from->woken) {
        from->woken_last->next = enterer->due;
        enterer->due = from->woken;
        from->woken = NULL;
    }
    AioCoroutine *co = enterer->due;
    enterer->due = co->next;
    set_entered(co, enterer, take_woken(co));
    return co;
}

/* Leave `from`: choose who is next, which may be `from` again. */
static inline AioCoroutine *leave(AioCoroutine *from, AioCoPhase phase)
{
    AioCoroutine *to = from->enterer;
    set_phase(from, phase);
    if (from->woken || to->due) {
        to = next_due(from, to);
    }
    here.current = to;
    return to;
}

AIO__NOT_INLINED void aio_co_yield(void)
{
    AioCoroutine *from = self();
    if (phase_of(from) != AIO_CO_ENTERED) {
        aio__fatal("%s: not inside a coroutine: nobody entered it", __func__);
    }
    AioCoroutine *to = leave(from, AIO_CO_SUSPENDED);
    if (to != from) {
        aio__co_switch(&from->state, &to->state);
    }
}

AIO__NOT_INLINED void aio__co_yield_then(void (*then)(void *), void *arg, const char *by)
{
    AioCoroutine *from = self();
    if (phase_of(from) != AIO_CO_ENTERED) {
        aio__fatal("%s: not inside a coroutine: nobody entered it", by);
    }
    if (woken_by(from)) {
        refuse_woken(from, by);
    }
    AioCoroutine *to = leave(from, AIO_CO_SUSPENDED);
    aio__co_switch_then(&from->state, &to->state, AIO_CO_LEAVE_YIELD, then, arg);
}

static void recycle(void *co)
{
    aio__co_pool_put(co);
}

AIO__NOT_INLINED static void end(AioCoroutine *co)
{
    if (woken_by(co)) {
        refuse_woken(co, "the end of a coroutine");
    }
    if (co->locks_held) {
        aio__fatal("coroutine %#jx, entered by %s, has ended and holds a mutex",
                   (uintmax_t)(uintptr_t)co, co->entered_by);
    }
    AioCoroutine *to = leave(co, AIO_CO_ENDED);
    aio__co_switch_then(&co->state, &to->state, AIO_CO_LEAVE_END, recycle, co);
}

/* What runs on the stack of a coroutine, once for each life of it. */
static void run(void *opaque)
{
    AioCoroutine *co = opaque;
    for (;;) {
        co->entry(co->opaque);
        end(co);
    }
}

AioCoroutine *aio_co_create(AioCoroutineFunc *entry, void *opaque)
{
    return aio_co_create_full(entry, opaque, NULL);
}

AioCoroutine *aio_co_create_full(AioCoroutineFunc *entry, void *opaque, AioError **errp)
{
    AioCoroutine *co;
    int ret = aio__co_pool_get(&co, run);
    if (ret < 0) {
        aio_error_set(errp, -ret, "no coroutine: its stack of %zu KiB is refused",
                      AIO_CO_STACK_SIZE / 1024);
        return NULL;
    }
    co->entry = entry;
    co->opaque = opaque;
    co->entered_by = NULL;
    atomic_store_explicit(&co->ctx, NULL, memory_order_relaxed);
    set_phase(co, AIO_CO_NEW);
    return co;
}

void aio_co_discard(AioCoroutine *co)
{
    assert(phase_of(co) == AIO_CO_NEW && !woken_by(co));
    set_phase(co, AIO_CO_ENDED);
    aio__co_pool_put(co);
}

AIO__NOT_INLINED AioCoroutine *aio_co_self(void)
{
    return self();
}

AIO__NOT_INLINED bool aio_co_in_coroutine(void)
{
    return phase_of(self()) == AIO_CO_ENTERED;
}

bool aio_co_entered(AioCoroutine *co)
{
    return phase_of(co) == AIO_CO_ENTERED;
}

AioContext *aio_co_context(AioCoroutine *co)
{
    return atomic_load_explicit(&co->ctx, memory_order_relaxed);
}
