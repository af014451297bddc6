/*
 * Coroutines as core sees them, and the part of a context that belongs to them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_COROUTINE_H
#define AIOCTX_CORE_COROUTINE_H

#include <stdatomic.h>

#include "aioctx/coroutine.h"
#include "core/co_backend.h"
#include "core/compiler.h"

/* The coroutines scheduled on a context; drained by a bottom half of it. */
typedef struct AioCoQueueOfContext {
    _Atomic(AioCoroutine *) scheduled; /* linked, last in first out */
    AioBh *bh;                         /* owned */
} AioCoQueueOfContext;

/* Set up and take down ctx->co. */
int aio__co_context_init(AioContext *ctx);
void aio__co_context_destroy(AioContext *ctx);

/* Whether a coroutine is scheduled on the context still. */
bool aio__co_context_busy(AioContext *ctx);

/*
 *           create             enter                  yield
 *   (pool) -------> NEW --------------> ENTERED ------------------> SUSPENDED
 *     ^              |                  ^  |  ^                        |
 *     |   discard    |                  |  |  +------------------------+
 *     +--------------+                  |  |            enter
 *     ^                                 |  | its function returns
 *     +--------------------- ENDED <----+--+
 *          its stack was left
 *
 * The thread that enters moves it to ENTERED; the coroutine itself out of it, as the last thing before the switch.
 * ENTERED it is in a chain of enterers that ends with a thread's own object, whose phase is THREAD for ever.
 *
 * Independent of it, a coroutine that is to be entered later has a `woken_by`: it is linked into a list then, of
 * a context (aio_co_schedule()) or of another coroutine (aio_co_wake()). In NEW and SUSPENDED that is
 * the normal case; in ENTERED, the wake came before the yield.
 */
typedef enum AioCoPhase {
    AIO_CO_NEW,
    AIO_CO_SUSPENDED,
    AIO_CO_ENTERED,
    AIO_CO_ENDED,
    AIO_CO_THREAD,
} AioCoPhase;

struct AioCoroutine {
    AioCoroutine *enterer;          /* borrowed while ENTERED: control goes back there */
    _Atomic(AioCoPhase) phase;      /* atomic for those who ask only; see the chart for the order */
    unsigned locks_held;            /* AioCoMutexes */
    _Atomic(AioContext *) ctx;      /* borrowed: where it runs, ran last or is to run; or NULL */
    _Atomic(const char *) woken_by; /* borrowed: a function's name, NULL: it is in no list */
    const char *entered_by;         /* borrowed: a function's name */
    AioCoroutine *woken;            /* linked: to be entered when this one is left */
    AioCoroutine *woken_last;       /* linked: the last of these */
    AioCoroutine *due;  /* linked: to be entered before control comes back to this one */
    AioCoroutine *next; /* linked: the next in one of those lists, a context's or the pool's */
    AioCoState state;
    AioCoroutineFunc *entry;
    void *opaque; /* borrowed until it has ended: its creator's */
};

/* Usable bytes, reserved and backed as they are touched. */
#define AIO_CO_STACK_SIZE ((size_t)1024 * 1024)

/* Enter here and now, recording `ctx`. Fatal where it is entered or woken already. `by`: who asks. */
void aio__co_enter(AioCoroutine *co, AioContext *ctx, const char *by);

/* The same for one that was woken: it is out of its list now. */
void aio__co_enter_woken(AioCoroutine *co, AioContext *ctx);

/* From inside a coroutine: have it entered when the running one yields or ends. */
void aio__co_enter_later(AioCoroutine *co, AioContext *ctx, const char *by);

/* Yield, and have then(arg) called once the running coroutine has been left. `then` does not switch. */
void aio__co_yield_then(void (*then)(void *), void *arg, const char *by);

/* As aio_co_schedule(). `by`: who asks. */
void aio__co_schedule(AioContext *ctx, AioCoroutine *co, const char *by);

/* Wake as aio_co_enter() does. `by`: who asks. */
void aio__co_wake(AioContext *ctx, AioCoroutine *co, const char *by);

/* The context whose loop works for the running coroutine; it belongs to it from now on. Not NULL. */
AioContext *aio__co_loop(AioCoroutine *self);

/* Whether it is in a list, to be entered later. */
bool aio__co_is_woken(AioCoroutine *co);

/* Take the right to put a coroutine into a list. Fatal where another has it. */
void aio__co_set_woken(AioCoroutine *co, const char *by);

/* A coroutine that runs run(co) on a stack of its own, from the pool or new; 0 or a negative errno value. */
int aio__co_pool_get(AioCoroutine **co, void (*run)(void *));

/* Keep a coroutine for reuse, or free it. Its stack must have been left. */
void aio__co_pool_put(AioCoroutine *co);

#endif
