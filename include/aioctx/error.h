/*
 * Errors as values, and the hook for the few errors that end the program.
 *
 * An AioError carries a positive errno value and one line of text that names the offending value.
 * Making one never fails: where memory is refused, a static one with ENOMEM stands in, which
 * aio_error_free() accepts like any other.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_ERROR_H
#define AIOCTX_ERROR_H

#include <stdarg.h>

#include "aioctx/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Formats are those of C99, also where the C library of the system knows others. */
#if defined(__GNUC__) && !defined(__clang__)
#define AIO_PRINTF(text, first) __attribute__((format(gnu_printf, text, first)))
#elif defined(__GNUC__)
#define AIO_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define AIO_PRINTF(text, first)
#endif

/*
 * The positive errno value of an error (errno(3)).
 *
 * Thread: any
 */
AIO_EXPORT int aio_error_code(const AioError *error);

/*
 * The text of an error: one line, no newline at its end, never NULL; it lives as long as the error.
 *
 * Thread: any
 */
AIO_EXPORT const char *aio_error_message(const AioError *error);

/*
 * Free an error; NULL is accepted.
 *
 * Thread: any
 */
AIO_EXPORT void aio_error_free(AioError *error);

/*
 * A copy with a life of its own.
 *
 * Thread: any
 */
AIO_EXPORT AioError *aio_error_copy(const AioError *error);

/*
 * Set *errp to a new error with `code` (positive errno) and a printf(3)-formatted text. Does nothing
 * where errp is NULL. *errp must be NULL before: an error is never overwritten silently.
 *
 * Thread: any
 */
AIO_EXPORT void aio_error_set(AioError **errp, int code, const char *format, ...) AIO_PRINTF(3, 4);

/*
 * As aio_error_set(), with the arguments as a va_list.
 *
 * Thread: any
 */
AIO_EXPORT void aio_error_set_va(AioError **errp, int code, const char *format, va_list args)
    AIO_PRINTF(3, 0);

/*
 * Hand `error` on to *errp. Takes ownership: frees it where errp is NULL or *errp already holds one
 * (the first error is the one that matters).
 *
 * Thread: any
 */
AIO_EXPORT void aio_error_propagate(AioError **errp, AioError *error);

/* Called with the text of a fatal error just before the process aborts. */
typedef void AioFatalFunc(const char *message, void *opaque);

/*
 * Set what is called before a fatal error aborts the process; NULL removes it. The hook
 * may end the thread or leave by longjmp (tests do); where it returns, abort(3) follows.
 * docs/contract.md lists every error that is fatal: programming errors, and one refusal of Windows.
 *
 * Thread: any
 */
AIO_EXPORT void aio_set_fatal_hook(AioFatalFunc *hook, void *opaque);

#ifdef __cplusplus
}
#endif

#endif
