/*
 * The inside of an AioContext: the parts of all modules in one struct, and the questions about threads
 * that they share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_CONTEXT_H
#define AIOCTX_CORE_CONTEXT_H

#include <stdatomic.h>

#include "aioctx/context.h"
#include "aioctx/error.h"
#include "core/bh.h"
#include "core/busy_poll.h"
#include "core/coroutine.h"
#include "core/fatal.h"
#include "core/file_engine.h"
#include "core/handler.h"
#include "core/notify.h"
#include "core/platform.h"
#include "core/poller.h"
#include "core/timer.h"

/* As AioContextCounters; each written with aio__count() or, from any thread, with aio__count_any(). */
typedef struct AioCounters {
    _Atomic uint64_t iterations;
    _Atomic uint64_t waits;
    _Atomic uint64_t sleeps;
    _Atomic uint64_t notifier_writes;
    _Atomic uint64_t drains;
    _Atomic uint64_t interest_updates;
    _Atomic uint64_t busy_polls;
    _Atomic uint64_t bh_calls;
    _Atomic uint64_t handler_calls;
    _Atomic uint64_t timer_calls;
    _Atomic uint64_t request_completions;
    _Atomic uint64_t co_resumes;
    _Atomic uint64_t errors_recorded;
} AioCounters;

/* Where a host loop is. */
typedef enum AioLoopState {
    AIO_LOOP_IDLE,     /* no host waits for it */
    AIO_LOOP_PREPARED, /* a host may be waiting: since aio_prepare() */
} AioLoopState;

struct AioContext {
    atomic_uint refcount;
    unsigned flags;   /* AioContextFlags */
    char *name;       /* owned */
    uint64_t process; /* that made it */

    _Atomic uintptr_t owner; /* thread id of the home thread, 0: none */
    AioNode owned_node;      /* linked into the list of contexts with an owner */

    AioMutex user_lock;            /* of aio_context_acquire() */
    _Atomic uintptr_t lock_holder; /* thread id, 0: none */
    unsigned lock_depth;

    AioNotify notify;
    AioBhQueue bh;
    AioHandlers handlers;
    AioTimerList timers[AIO_CLOCK_MAX];
    AioBusyPoll busy;
    AioCoQueueOfContext co;
    AioPoller *poller;     /* owned */
    char *pollers_refused; /* owned */
    AioThreadPool *pool;   /* owned, made lazily */
    AioFileEngine *engine; /* owned, made lazily */

    AioLoopState loop_state;
    unsigned depth;         /* of iterations on the stack */
    bool dying;             /* the last reference went while an iteration was on the stack */
    unsigned skipped_waits; /* blocking iterations with work that did not ask the kernel */
    unsigned requests_in_flight;
    unsigned quiesce_depth;
    unsigned runs;    /* of aio_context_run() on the stack */
    atomic_bool stop; /* stands until the outermost of them has ended */

    AioMutex lock;   /* guards the error and who is told of it, and bh.all */
    AioError *error; /* owned: the first recorded */
    AioContextErrorFunc *error_cb;
    void *error_opaque;

    AioCounters counters;
};

/* Count in the home thread: no read-modify-write. */
#define aio__count(ctx, field)                                                                     \
    atomic_store_explicit(&(ctx)->counters.field,                                                  \
                          atomic_load_explicit(&(ctx)->counters.field, memory_order_relaxed) + 1,  \
                          memory_order_relaxed)

/* Count in any thread. */
#define aio__count_any(ctx, field)                                                                 \
    atomic_fetch_add_explicit(&(ctx)->counters.field, 1, memory_order_relaxed)

/* Not 0, and never the same for two threads, not even one after the other. Thread: signal */
uintptr_t aio__thread_id(void);

/* Free a context without references. */
void aio__context_finalize(AioContext *ctx);

/* A level of aio_context_run(): a stop counts for all that are open, and is used up by the outermost one's end. */
void aio__run_begin(AioContext *ctx);
void aio__run_end(AioContext *ctx);

/* Whether the calling thread is the home thread, or holds a shared context. */
bool aio__is_home(const AioContext *ctx);

/*
 * Whether this is what a child process found in its copy of its parent's memory. Nobody but the calling thread
 * is there to finish what was under way, or to give up a lock.
 */
bool aio__is_copy(const AioContext *ctx);

/*
 * Whether the calling thread may do what is for the home thread: a context that has no home yet is anybody's. Asserted
 * at the entry of every function that is for the home thread and does not run the context.
 */
bool aio__at_home(const AioContext *ctx);

/*
 * At the entry of those that do: bind a context that has no home yet; fatal in a foreign thread and inside a
 * coroutine, naming `what`.
 */
void aio__enter_home(AioContext *ctx, const char *what);

/* Record an error of a function without an error result. Takes ownership. */
void aio__record_error(AioContext *ctx, AioError *error);

/* The context that the calling thread runs; set around an iteration. Returns the former one. */
AioContext *aio__set_running(AioContext *ctx);

#endif
