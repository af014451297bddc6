/*
 * Types that every other header of aioctx uses, and the words of its thread contract.
 *
 * True of every function of this library, so it is not repeated below:
 *  - Times and durations are 64-bit nanoseconds. A time-out of -1 means "for ever", 0 "do not wait".
 *  - File offsets are 64 bits wide on every system.
 *  - Internal results are 0 or a negative errno value; an AioError holds the positive one.
 *  - A function with an `AioError **errp` accepts NULL there. Where it fails, it sets *errp
 *    (when given) and has changed nothing that the caller can see.
 *  - A pointer handed in is borrowed for the length of the call unless its function says otherwise.
 *
 * Each function's comment ends in one line `Thread:`, made of these words joined by commas:
 *  any           from any thread, but not from a signal handler
 *  signal        from any thread and from a signal handler: async-signal-safe, never blocks
 *  home          only in the context's home thread (aio_context_bind()); with a shared context,
 *                only by the thread that holds aio_context_acquire()
 *  no coroutine  not from inside a coroutine (stands beside one of the words above)
 *  coroutine     only from inside a coroutine
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_TYPES_H
#define AIOCTX_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aioctx/export.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct AioBh AioBh;
typedef struct AioContext AioContext;
typedef struct AioCoroutine AioCoroutine;
typedef struct AioError AioError;
typedef struct AioFile AioFile;
typedef struct AioNotifier AioNotifier;
typedef struct AioRequest AioRequest;
typedef struct AioThread AioThread;
typedef struct AioThreadPool AioThreadPool;
typedef struct AioTimer AioTimer;

/* A descriptor, a socket or a Windows HANDLE, as its AioHandleKind says. */
typedef intptr_t AioHandle;

#ifdef __cplusplus
#define AIO_HANDLE_NONE (static_cast<AioHandle>(-1))
#else
#define AIO_HANDLE_NONE ((AioHandle)-1)
#endif

typedef enum AioHandleKind {
    AIO_HANDLE_FD = 0,     /* POSIX file descriptor; sockets are descriptors there */
    AIO_HANDLE_SOCKET = 1, /* Windows SOCKET; the same as AIO_HANDLE_FD elsewhere */
    AIO_HANDLE_OBJECT = 2, /* Windows waitable HANDLE; refused elsewhere */
} AioHandleKind;

/* One piece of a scattered buffer: the base is borrowed until the request completes. */
typedef struct AioIoVec {
    void *base;
    size_t len;
} AioIoVec;

/* Bottom half and other plain callbacks. */
typedef void AioCallback(void *opaque);

/* Completion of a request: ret is the operation's result, or a negative errno value. */
typedef void AioCompletionFunc(void *opaque, int64_t ret);

#ifdef __cplusplus
}
#endif

#endif
