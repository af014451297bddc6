/*
 * Coroutines: functions with a stack of their own, which yield and are entered again.
 *
 * A coroutine runs in the thread that enters it. It remembers the context in which it ran last (NULL is
 * one, too: coroutines work without any loop), and aio_co_wake() takes it back there. What a coroutine
 * wakes runs when that coroutine yields or ends, before control goes back to whoever entered it, without
 * growing the stack.
 *
 * Fatal in every build, since memory would be corrupted otherwise: entering or scheduling a coroutine
 * that runs or is scheduled already (both places are named), yielding outside of one, ending one that
 * holds an AioCoMutex.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_COROUTINE_H
#define AIOCTX_COROUTINE_H

#include "aioctx/clock.h"
#include "aioctx/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef AioCallback AioCoroutineFunc;

/*
 * A coroutine that will run entry(opaque) when it is first entered. When entry returns, the coroutine is
 * recycled and must not be touched. Returns NULL where memory or a stack (1 MiB, reserved) is refused.
 *
 * Thread: any
 */
AIO_EXPORT AioCoroutine *aio_co_create(AioCoroutineFunc *entry, void *opaque);

/*
 * As aio_co_create(), with an error that says what was refused.
 *
 * Thread: any
 */
AIO_EXPORT AioCoroutine *aio_co_create_full(AioCoroutineFunc *entry, void *opaque, AioError **errp);

/*
 * Free a coroutine that was never entered.
 *
 * Thread: any
 */
AIO_EXPORT void aio_co_discard(AioCoroutine *co);

/*
 * Run a coroutine here and now until it yields or ends, whatever the context; then those that it woke.
 * aio_co_enter() is the call that respects contexts. On Windows, a thread that can't become a fiber for want of memory ends the
 * program (ConvertThreadToFiberEx(), Windows API).
 *
 * Thread: any
 */
AIO_EXPORT void aio_co_resume(AioCoroutine *co);

/*
 * Suspend the running coroutine: control goes back to whoever entered it.
 *
 * Thread: coroutine
 */
AIO_EXPORT void aio_co_yield(void);

/*
 * The coroutine that runs here, or an object that stands for the thread itself.
 *
 * Thread: any
 */
AIO_EXPORT AioCoroutine *aio_co_self(void);

/*
 * Whether the caller runs inside a coroutine.
 *
 * Thread: any
 */
AIO_EXPORT bool aio_co_in_coroutine(void);

/*
 * Whether a coroutine was entered and has not yielded since (true for one that entered the caller's, too).
 * Of one that runs in another thread, false does not mean that it has quite left its stack.
 *
 * Thread: any
 */
AIO_EXPORT bool aio_co_entered(AioCoroutine *co);

/*
 * The context in which it ran last or was told to run, or NULL.
 *
 * Thread: any
 */
AIO_EXPORT AioContext *aio_co_context(AioCoroutine *co);

/*
 * Have a coroutine entered by the loop of `ctx`, first scheduled, first run. It must have yielded, or be
 * the running one and `ctx` the context that it runs in.
 *
 * Thread: any
 */
AIO_EXPORT void aio_co_schedule(AioContext *ctx, AioCoroutine *co);

/*
 * Continue a coroutine in the context where it ran last: scheduled where that is not aio_context_current();
 * otherwise entered at once, or, from inside a coroutine, when that one yields or ends. With another
 * context this may come before the coroutine has quite yielded; with the own one it may not.
 *
 * Thread: any
 */
AIO_EXPORT void aio_co_wake(AioCoroutine *co);

/*
 * As aio_co_wake() with the context given.
 *
 * Thread: any
 */
AIO_EXPORT void aio_co_enter(AioContext *ctx, AioCoroutine *co);

/*
 * Move the running coroutine to another context: when this returns, it runs there.
 *
 * Thread: coroutine
 */
AIO_EXPORT void aio_co_reschedule_self(AioContext *ctx);

/*
 * How many ended coroutines are kept with their stacks for reuse, in the whole process; the default is
 * 256. Each costs two memory maps. Returns false and EINVAL where negative or over 16,384.
 *
 * Thread: any
 */
AIO_EXPORT bool aio_co_pool_set_max(int max, AioError **errp);

/* A sleep that another can end. Owned by the sleeper, zero before its first use. */
typedef struct AioCoSleep {
    void *to_wake; /* private */
} AioCoSleep;

/*
 * Sleep for `duration_ns` on a clock, in the current context's loop.
 *
 * Thread: coroutine
 */
AIO_EXPORT void aio_co_sleep_ns(AioClock clock, int64_t duration_ns);

/*
 * The same, ended early by aio_co_sleep_wake(). Returns whether it was woken.
 *
 * Thread: coroutine
 */
AIO_EXPORT bool aio_co_sleep_ns_wakeable(AioCoSleep *sleep, AioClock clock, int64_t duration_ns);

/*
 * Sleep until aio_co_sleep_wake().
 *
 * Thread: coroutine
 */
AIO_EXPORT void aio_co_sleep_forever(AioCoSleep *sleep);

/*
 * End a sleep; nothing happens where none is under way. Only once for each sleep does it wake.
 *
 * Thread: any
 */
AIO_EXPORT void aio_co_sleep_wake(AioCoSleep *sleep);

/* Asked to make the coroutine's work end soon, in the home thread and outside of coroutines. */
typedef void AioCoTimeoutFunc(void *opaque);

/*
 * Run entry(opaque) in a coroutine of its own and wait for its end. Where it takes longer than `duration_ns`
 * (REALTIME; negative: no limit), cancel(opaque) is called once to make it end; this waits for it to end
 * all the same. Returns 0, -ETIMEDOUT where cancel was called, or -ENOMEM where it could not be started.
 *
 * Thread: coroutine
 */
AIO_EXPORT int aio_co_timeout(AioCoroutineFunc *entry, AioCoTimeoutFunc *cancel, void *opaque,
                              int64_t duration_ns);

/*
 * Wait until a descriptor is readable, by a handler that exists while somebody waits. Another coroutine of the
 * same context may wait until it is writable meanwhile. Returns 0 or a negative errno value:
 * -EBUSY where another waits for the same direction, or the descriptor has a handler already;
 * -ECANCELED where aio_co_wake(), called in the home thread, has ended this wait (the other goes on), or
 * where the handler was removed or replaced, which ends both: their coroutines are scheduled then, and the
 * descriptor may be closed as the removal says;
 * what the handler's `error` would be told, to both.
 *
 * Thread: coroutine
 */
AIO_EXPORT int aio_co_wait_readable(AioHandle handle, AioHandleKind kind);

/*
 * Wait until a descriptor is writable; as aio_co_wait_readable().
 *
 * Thread: coroutine
 */
AIO_EXPORT int aio_co_wait_writable(AioHandle handle, AioHandleKind kind);

#ifdef __cplusplus
}
#endif

#endif
