/*
 * A notifier: a flag that any thread or signal handler sets and that a loop can wait for.
 *
 * It is an eventfd(2) where the kernel has that, elsewhere on POSIX a pipe(2), on Windows a manual-reset event. Sets
 * coalesce: however many come before it is cleared, it is set once. A handler registered for it
 * (aio_set_event_notifier()) must clear it itself with aio_notifier_test_and_clear(); the loop
 * does not.
 *
 * A recipe for signals and child processes: a static AioNotifier, a handler installed by
 * sigaction(2) that calls aio_notifier_set(), and a read callback that clears it and then calls
 * waitpid(2) with WNOHANG until nothing is left.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_NOTIFIER_H
#define AIOCTX_NOTIFIER_H

#include "aioctx/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* May live inside the caller's struct. The fields are private. */
struct AioNotifier {
    AioHandle read_handle;
    AioHandle write_handle;
    uintptr_t reserved[2];
};

typedef void AioNotifierFunc(AioNotifier *notifier);

/*
 * Make a notifier, set already where `active`. Returns 0, or a negative errno value (EMFILE,
 * ENFILE, ENOMEM); after a failure, set and cleanup are harmless.
 *
 * Thread: any
 */
AIO_EXPORT int aio_notifier_init(AioNotifier *notifier, bool active);

/*
 * Close what the notifier holds. Its handles become AIO_HANDLE_NONE, so that a late set or a second
 * cleanup does nothing instead of hitting a recycled descriptor. Remove its handler first.
 *
 * Thread: any
 */
AIO_EXPORT void aio_notifier_cleanup(AioNotifier *notifier);

/*
 * Set it. Never blocks; errno is preserved. Returns 0, also where it was set before, or a negative
 * errno value (EBADF after cleanup).
 *
 * Thread: signal
 */
AIO_EXPORT int aio_notifier_set(AioNotifier *notifier);

/*
 * Clear it, with all sets so far. Returns whether it was set.
 *
 * Thread: signal
 */
AIO_EXPORT bool aio_notifier_test_and_clear(AioNotifier *notifier);

/*
 * The handle to wait on for reading (its kind is AIO_HANDLE_FD, on Windows AIO_HANDLE_OBJECT), or
 * AIO_HANDLE_NONE after cleanup. Owned by the notifier.
 *
 * Thread: any
 */
AIO_EXPORT AioHandle aio_notifier_handle(const AioNotifier *notifier);

/*
 * The kind of the handle above on this system.
 *
 * Thread: any
 */
AIO_EXPORT AioHandleKind aio_notifier_handle_kind(void);

#ifdef __cplusplus
}
#endif

#endif
