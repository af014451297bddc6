/*
 * Handlers: callbacks for descriptors, sockets and handles that become ready.
 *
 * A handler belongs to a pair of handle and kind; registering the same pair again replaces callbacks,
 * flags and opaque as one unit. Changes may be made from any thread and any callback. In the home
 * thread they take effect at once, elsewhere before the loop next waits or runs a callback.
 *
 * Readiness is level-triggered: what a callback leaves unread is reported again. A handler runs at
 * most once in an iteration for each direction, read before write; hang-up and errors call `read`,
 * errors call `write` too. A handler that runs a nested aio_poll() may be entered again where its
 * condition still holds, so it clears the condition first; only handlers found by busy-polling are
 * kept from that.
 *
 * Remove a handler before closing its descriptor. In the home thread aio_handler_remove() is enough;
 * from another thread use aio_handler_remove_wait().
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_HANDLER_H
#define AIOCTX_HANDLER_H

#include "aioctx/notifier.h"
#include "aioctx/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef AioCallback AioHandlerFunc;

/* Looks, without a system call, whether there is something to do. */
typedef bool AioPollFn(void *opaque);

/* What went wrong with a handler: a negative errno value, such as -EBADF for a closed descriptor. */
typedef void AioHandlerErrorFunc(void *opaque, int error);

typedef enum AioHandlerFlags {
    AIO_HANDLER_EDGE = 1 << 0, /* the callback goes on until EAGAIN: edge notification is safe */
    AIO_HANDLER_EXTERNAL = 1 << 1, /* not served while aio_disable_external() is in force */
} AioHandlerFlags;

/*
 * The callbacks of a handler; each may be NULL. Copied by aio_handler_set(); set `size` to
 * sizeof(AioHandlerOps), so that later versions can add members.
 *
 * poll, poll_ready: with poll_ready, `poll` only tests and poll_ready does the work; without it,
 * `poll` does the work itself and returns whether there was any.
 * A handler with nothing but `poll` is legal: it is never waited for, only busy-polled.
 * poll_begin and poll_end bracket a period of busy-polling, so that a source can stop and restart
 * its own notifications; a handler removed in such a period gets no poll_end.
 */
typedef struct AioHandlerOps {
    size_t size;
    AioHandlerFunc *read;
    AioHandlerFunc *write;
    AioPollFn *poll;
    AioHandlerFunc *poll_ready;
    AioHandlerFunc *poll_begin;
    AioHandlerFunc *poll_end;
    AioHandlerErrorFunc *error; /* once, when the handle can't be watched (any more) */
} AioHandlerOps;

/*
 * Register or replace the handler of (handle, kind). `ops` NULL, or without read, write and poll,
 * removes it, as aio_handler_remove() does. Returns false and an error for a bad handle (EBADF), a
 * kind or a flag that is unknown (EINVAL) or that the platform refuses (ENOTSUP), and where memory is
 * refused (ENOMEM); the former handler then still stands.
 * What only the system finds out, later and in the home thread (a descriptor that was closed), goes
 * to ops->error and aio_context_take_error(); the handler is then out of service until replaced.
 *
 * Thread: any
 */
AIO_EXPORT bool aio_handler_set(AioContext *ctx, AioHandle handle, AioHandleKind kind,
                                unsigned flags, const AioHandlerOps *ops, void *opaque,
                                AioError **errp);

/*
 * Remove the handler of (handle, kind); nothing happens where there is none. In the home thread no
 * callback of it starts after this returns, and the descriptor may be closed at once. From another
 * thread one may be running still, and the descriptor must stay open.
 *
 * Thread: any
 */
AIO_EXPORT void aio_handler_remove(AioContext *ctx, AioHandle handle, AioHandleKind kind);

/*
 * Remove the handler and wait until no callback of it runs and the system no longer holds the
 * handle; then it may be closed. From another thread than home it needs the loop to go round:
 * it blocks for as long as the loop does not run, also where nobody is at home yet. In the home thread
 * it does not wait (it could be called by the very callback that it would wait for).
 *
 * Thread: any
 */
AIO_EXPORT void aio_handler_remove_wait(AioContext *ctx, AioHandle handle, AioHandleKind kind);

/*
 * The descriptor form of aio_handler_set(): all of io_read, io_write and io_poll NULL removes. An error
 * is recorded in the context (aio_context_take_error()).
 *
 * Thread: any
 */
AIO_EXPORT void aio_set_fd_handler(AioContext *ctx, int fd, bool is_external,
                                   AioHandlerFunc *io_read, AioHandlerFunc *io_write,
                                   AioPollFn *io_poll, void *opaque);

/*
 * Set the callbacks that bracket busy-polling of a registered descriptor; nothing happens where it
 * has no handler. Replacing the handler clears them.
 *
 * Thread: home
 */
AIO_EXPORT void aio_set_fd_poll(AioContext *ctx, int fd, AioHandlerFunc *io_poll_begin,
                                AioHandlerFunc *io_poll_end);

/*
 * As aio_set_fd_handler() for a notifier, which is also the opaque of the callbacks. io_read and
 * io_poll both NULL removes. The notifier outlives its registration.
 *
 * Thread: any
 */
AIO_EXPORT void aio_set_event_notifier(AioContext *ctx, AioNotifier *notifier, bool is_external,
                                       AioNotifierFunc *io_read, AioPollFn *io_poll);

/*
 * As aio_set_fd_poll() for a notifier.
 *
 * Thread: home
 */
AIO_EXPORT void aio_set_event_notifier_poll(AioContext *ctx, AioNotifier *notifier,
                                            AioNotifierFunc *io_poll_begin,
                                            AioNotifierFunc *io_poll_end);

/*
 * Stop serving handlers with AIO_HANDLER_EXTERNAL until as many calls of aio_enable_external().
 * Readiness is kept and delivered afterwards. Does not wait for a callback that runs.
 *
 * Thread: any
 */
AIO_EXPORT void aio_disable_external(AioContext *ctx);

/*
 * Undo one aio_disable_external(); the last one wakes the loop.
 *
 * Thread: any
 */
AIO_EXPORT void aio_enable_external(AioContext *ctx);

/*
 * Whether handlers with AIO_HANDLER_EXTERNAL are out of service now.
 *
 * Thread: any
 */
AIO_EXPORT bool aio_external_disabled(AioContext *ctx);

/*
 * Whether a handler that is external, or not, would be served now.
 *
 * Thread: any
 */
AIO_EXPORT bool aio_node_check(AioContext *ctx, bool is_external);

#ifdef __cplusplus
}
#endif

#endif
