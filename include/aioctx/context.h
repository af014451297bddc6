/*
 * AioContext: one event loop.
 *
 * A context has a home thread, the only one that may run it: set by aio_context_bind() or by the
 * first aio_poll(), aio_prepare() or aio_context_run(), and cleared by aio_context_unbind(). A
 * context made with AIO_CONTEXT_SHARED has none: whoever holds aio_context_acquire() may run it.
 *
 * One iteration: compute the time-out, busy-poll where that pays, wait, take note of wake-ups, then run
 * bottom halves, ready handlers and timers in this order. aio_poll() does all of it; another event
 * loop that hosts a context calls aio_prepare(), aio_compute_timeout(), aio_pending() and
 * aio_dispatch() instead.
 *
 * Shutdown: stop new work (aio_quiesce_begin() or remove the handlers), run aio_poll(ctx, false)
 * until it returns false, delete bottom halves and timers, then aio_context_unref(). A thread's
 * loop is stopped by a bottom half that calls aio_context_stop() (aio_thread_join() does this).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CONTEXT_H
#define AIOCTX_CONTEXT_H

#include "aioctx/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum AioContextFlags {
    AIO_CONTEXT_SHARED = 1 << 0, /* no home thread; the acquire lock decides who may run it */
} AioContextFlags;

/* Options of a context; zero means the default. Set `size` to sizeof(AioContextOptions). */
typedef struct AioContextOptions {
    size_t size;
    const char *poller; /* its name ("epoll", "poll", ...), or NULL for the best that opens */
    unsigned flags;     /* AioContextFlags */
    const char *name;   /* for reports; copied; NULL: "aio" */
} AioContextOptions;

/*
 * A new context with one reference and the default options. Returns NULL and an error where a system
 * resource is refused (EMFILE, ENFILE, ENOMEM).
 *
 * The environment variable AIOCTX_POLLER names the poller for contexts that do not choose one; it is
 * ignored in set-user-id programs. An unknown name is an error (EINVAL) that lists the known ones.
 *
 * Thread: any
 */
AIO_EXPORT AioContext *aio_context_new(AioError **errp);

/*
 * As aio_context_new() with options (NULL: the default ones). A poller that is named is not replaced by
 * another where it fails to open: that is an error. EINVAL for unknown flags, names and sizes.
 *
 * Thread: any
 */
AIO_EXPORT AioContext *aio_context_new_with_options(const AioContextOptions *options,
                                                    AioError **errp);

/*
 * Take one more reference.
 *
 * Thread: any
 */
AIO_EXPORT void aio_context_ref(AioContext *ctx);

/*
 * Drop a reference; the last one frees the context, in the calling thread, after every thread that is
 * inside aio_bh_schedule(), aio_notify() or aio_co_schedule() has left it. It is fatal where bottom
 * halves not deleted, armed timers, requests or scheduled coroutines are left: the first is named.
 *
 * Thread: any
 */
AIO_EXPORT void aio_context_unref(AioContext *ctx);

/*
 * Make the calling thread the home thread. Fatal where another thread is that already, or the context
 * is shared.
 *
 * Thread: any
 */
AIO_EXPORT void aio_context_bind(AioContext *ctx);

/*
 * Give up being the home thread, so that another thread can take over.
 *
 * Thread: home, no coroutine
 */
AIO_EXPORT void aio_context_unbind(AioContext *ctx);

/*
 * The innermost context that this thread is running, else the first that it owns, else NULL.
 *
 * Thread: any
 */
AIO_EXPORT AioContext *aio_context_current(void);

/*
 * Whether the calling thread is the home thread (of a shared context: whether it holds the lock).
 *
 * Thread: any
 */
AIO_EXPORT bool aio_context_in_home_thread(AioContext *ctx);

/*
 * The user's own lock of a context: recursive, and taken by no function of this library. With a shared
 * context, holding it is what allows to run it. It is not dropped while aio_poll() waits.
 *
 * Thread: any
 */
AIO_EXPORT void aio_context_acquire(AioContext *ctx);

/*
 * Release what aio_context_acquire() took, once.
 *
 * Thread: any
 */
AIO_EXPORT void aio_context_release(AioContext *ctx);

/*
 * Make the context's present or next blocking wait return at once. It is remembered until an iteration
 * takes note of it, and costs a system call only where the loop really sleeps. Everything that the
 * caller wrote before is visible to that iteration.
 *
 * Thread: signal
 */
AIO_EXPORT void aio_notify(AioContext *ctx);

/*
 * Take note of the wake-ups so far, as the step of an iteration before its callbacks does.
 *
 * Thread: home
 */
AIO_EXPORT void aio_notify_accept(AioContext *ctx);

/*
 * Run one iteration. Returns whether there was progress: a bottom half (not an idle one), a handler, a
 * timer, a completion or a coroutine ran, or a handler failed. The context's own wake-up is no progress.
 *
 * Without `blocking` it never sleeps, but always looks for descriptors that are ready now. With it, it
 * waits for something to happen, and returns false only where it was notified, an idle bottom half
 * ran, or what it woke for was cancelled, disabled or deleted meanwhile (or where the system refuses to
 * wait, which is recorded: aio_context_take_error()). Loop on your own condition. Signals do not end
 * the wait.
 *
 * May be called from every callback, to any depth. Fatal from a foreign thread or inside a coroutine.
 *
 * Thread: home, no coroutine
 */
AIO_EXPORT bool aio_poll(AioContext *ctx, bool blocking);

/*
 * Run iterations until aio_context_stop(). May be called from callbacks; a stop ends all runs of this
 * context, the inner ones first. To wait for a condition inside a callback, call aio_poll() until it holds.
 *
 * Thread: home, no coroutine
 */
AIO_EXPORT void aio_context_run(AioContext *ctx);

/*
 * Make aio_context_run() return after the present iteration, and those that it was called from after theirs;
 * where none runs, the next one returns at once. Several stops before the outermost returns are one.
 *
 * Thread: signal
 */
AIO_EXPORT void aio_context_stop(AioContext *ctx);

/*
 * For a host loop, before it waits: applies pending changes and says that the host may sleep. Returns
 * whether there is work already, in which case the host goes on to aio_dispatch() without a wait. May
 * be called repeatedly. Until aio_pending(), aio_dispatch() or aio_context_unbind() the host counts as
 * asleep, so that whatever is posted, and an aio_poll() in between, wakes it.
 *
 * Thread: home, no coroutine
 */
AIO_EXPORT bool aio_prepare(AioContext *ctx);

/*
 * How long a wait may last now: nanoseconds, 0 where there is work, -1 for ever. 10 ms at most while an
 * idle bottom half is scheduled.
 *
 * Thread: home
 */
AIO_EXPORT int64_t aio_compute_timeout(AioContext *ctx);

/*
 * For a host loop, after it waited: takes note of wake-ups, looks for ready descriptors without
 * waiting, and returns whether aio_dispatch() has something to do.
 *
 * Thread: home, no coroutine
 */
AIO_EXPORT bool aio_pending(AioContext *ctx);

/*
 * For a host loop: run bottom halves, the handlers found ready, and timers.
 *
 * Thread: home, no coroutine
 */
AIO_EXPORT void aio_dispatch(AioContext *ctx);

/*
 * The platform parts of a context's making and its end. aio_context_new() and the last
 * aio_context_unref() have done them; they are here because the interface names them, and do nothing.
 *
 * Thread: any
 */
AIO_EXPORT void aio_context_setup(AioContext *ctx);

/*
 * See aio_context_setup().
 *
 * Thread: any
 */
AIO_EXPORT void aio_context_destroy(AioContext *ctx);

/*
 * Set the adaptive busy-polling of the loop: before it sleeps, it calls the `poll` of all handlers for
 * up to a window of time that adapts to how long events take to come. max_ns is the longest window (0:
 * off, the default of a context), grow the factor by which the window grows (0: 2), shrink the divisor by
 * which it shrinks (0: to nothing). EINVAL where one is negative. The window starts anew from 0.
 * An iteration that finds work so makes no system call, but for one in 64: it asks the system, too, without
 * sleeping, so that a source which always has work does not starve what no `poll` looks for.
 *
 * Thread: any
 */
AIO_EXPORT void aio_context_set_poll_params(AioContext *ctx, int64_t max_ns, int64_t grow,
                                            int64_t shrink, AioError **errp);

/*
 * Take the oldest error that a function without an error result recorded since the last call, or NULL.
 * The caller frees it. Only the first is kept, the number of them is in aio_context_info().
 *
 * Thread: any
 */
AIO_EXPORT AioError *aio_context_take_error(AioContext *ctx);

/* Told of each recorded error (borrowed for the call), in the thread that recorded it. */
typedef void AioContextErrorFunc(AioContext *ctx, const AioError *error, void *opaque);

/*
 * Have `cb` told of each error as it is recorded (NULL: nobody, the default). Where another thread is
 * recording one at this moment, the former `cb` may still be told.
 *
 * Thread: home
 */
AIO_EXPORT void aio_context_set_error_func(AioContext *ctx, AioContextErrorFunc *cb, void *opaque);

/*
 * Quiesce a context: disable external handlers, then run it until nothing is left to do and no request
 * is in flight. Nested and counted; each call needs an aio_quiesce_end().
 *
 * Thread: home, no coroutine
 */
AIO_EXPORT void aio_quiesce_begin(AioContext *ctx);

/*
 * Undo one aio_quiesce_begin(); the last one enables external handlers again.
 *
 * Thread: home
 */
AIO_EXPORT void aio_quiesce_end(AioContext *ctx);

/* Counters of a context since it was made; they only grow. */
typedef struct AioContextCounters {
    uint64_t iterations;       /* iterations begun */
    uint64_t waits;            /* times the poller asked the kernel */
    uint64_t sleeps;           /* those of them with a time-out other than 0 */
    uint64_t notifier_writes;  /* wake-ups that needed a system call */
    uint64_t drains;           /* system calls spent on clearing the wake-up */
    uint64_t interest_updates; /* changes handed to the poller */
    uint64_t busy_polls;       /* times the loop busy-polled */
    uint64_t bh_calls;
    uint64_t handler_calls;
    uint64_t timer_calls;
    uint64_t request_completions;
    uint64_t co_resumes;
    uint64_t errors_recorded;
} AioContextCounters;

/* What a context is. Set `size` to sizeof(AioContextInfo) before the call. */
typedef struct AioContextInfo {
    size_t size;
    const char *name;            /* borrowed from the context */
    const char *poller;          /* the poller in use */
    const char *pollers_refused; /* "io_uring: Operation not permitted (1); ..." or "" */
    AioContextCounters counters; /* exact in the home thread, elsewhere a moment old */
    int64_t poll_window_ns;      /* the busy-polling window now */
    uint64_t handlers;           /* registered now */
} AioContextInfo;

/*
 * Fill in *info as far as info->size goes.
 *
 * Thread: any
 */
AIO_EXPORT void aio_context_info(AioContext *ctx, AioContextInfo *info);

#ifdef __cplusplus
}
#endif

#endif
