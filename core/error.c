/*
 * Errors as values, and the end of the program for the few that are not.
 *
 * An error is one allocation. Where that is refused, a static error stands in, so that a caller who
 * passed errp always finds one there; aio_error_free() knows it by its address.
 *
 * SPDX-License-Identifier: MIT
 */
#include "aioctx/error.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/context.h"

struct AioError {
    int code;
    const char *message; /* owned: in the same allocation */
};

static AioError out_of_memory = {.code = ENOMEM, .message = "Out of memory"};

int aio_error_code(const AioError *error)
{
    return error->code;
}

const char *aio_error_message(const AioError *error)
{
    return error->message;
}

void aio_error_free(AioError *error)
{
    if (error != &out_of_memory) {
        aio__free(error);
    }
}

static AioError *new_error(int code, size_t length)
{
    AioError *error = aio__malloc(sizeof(*error) + length + 1);
    if (error) {
        error->code = code;
        error->message = (char *)(error + 1);
    }
    return error;
}

AioError *aio_error_copy(const AioError *error)
{
    size_t length = strlen(error->message);
    AioError *copy = error == &out_of_memory ? NULL : new_error(error->code, length);
    if (!copy) {
        return &out_of_memory;
    }
    memcpy(copy + 1, error->message, length + 1);
    return copy;
}

void aio_error_set_va(AioError **errp, int code, const char *format, va_list args)
{
    if (!errp) {
        return;
    }
    assert(!*errp && code > 0);
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    AioError *error = length < 0 ? NULL : new_error(code, (size_t)length);
    if (error) {
        vsnprintf((char *)(error + 1), (size_t)length + 1, format, args);
    }
    *errp = error ? error : &out_of_memory;
}

void aio_error_set(AioError **errp, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    aio_error_set_va(errp, code, format, args);
    va_end(args);
}

void aio_error_propagate(AioError **errp, AioError *error)
{
    if (error && errp && !*errp) {
        *errp = error;
    } else {
        aio_error_free(error);
    }
}

/* Set together, rarely, and read only when all is lost: no need to agree with each other. */
static _Atomic(AioFatalFunc *) fatal_hook;
static _Atomic(void *) fatal_opaque;

void aio_set_fatal_hook(AioFatalFunc *hook, void *opaque)
{
    atomic_store(&fatal_opaque, opaque); /* pairs with aio__fatal() */
    atomic_store(&fatal_hook, hook);     /* pairs with aio__fatal() */
}

void aio__fatal(const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    AioFatalFunc *hook = atomic_load(&fatal_hook); /* pairs with aio_set_fatal_hook() */
    if (hook) {
        hook(message, atomic_load(&fatal_opaque)); /* pairs with aio_set_fatal_hook() */
    } else {
        fprintf(stderr, "aioctx: %s\n", message);
    }
    abort();
}
