/*
 * See win32_help.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/win32_help.h"

static void on_signal(void *opaque)
{
    Watched *watched = opaque;
    watched->calls++;
    if (watched->reset) {
        ResetEvent(watched->handle);
    }
    if (watched->then) {
        watched->then(watched);
    }
}

static void on_error(void *opaque, int error)
{
    Watched *watched = opaque;
    watched->errors++;
    watched->error = error;
}

bool try_watch(Watched *watched, AioContext *ctx, HANDLE handle, unsigned flags, AioError **errp)
{
    AioHandlerOps ops = {.size = sizeof(ops), .read = on_signal, .error = on_error};
    watched->ctx = ctx;
    watched->handle = handle;
    return aio_handler_set(ctx, (AioHandle)handle, AIO_HANDLE_OBJECT, flags, &ops, watched, errp);
}

void watch(Watched *watched, AioContext *ctx, HANDLE handle)
{
    assert_non_null(handle);
    assert_true(try_watch(watched, ctx, handle, 0, NULL));
}

void unwatch(Watched *watched)
{
    aio_handler_remove(watched->ctx, (AioHandle)watched->handle, AIO_HANDLE_OBJECT);
}

void close_watched(Watched *watched)
{
    unwatch(watched);
    CloseHandle(watched->handle);
}

HANDLE manual_event(bool set)
{
    return CreateEventW(NULL, TRUE, set, NULL);
}

HANDLE auto_event(bool set)
{
    return CreateEventW(NULL, FALSE, set, NULL);
}

enum { CROWD = 70 };
static Watched crowd[CROWD];

void crowd_in(AioContext *ctx, bool crowded)
{
    for (int i = 0; crowded && i < CROWD; i++) {
        crowd[i] = (Watched){.calls = 0};
        watch(&crowd[i], ctx, auto_event(false));
    }
}

void crowd_out(bool crowded)
{
    for (int i = 0; crowded && i < CROWD; i++) {
        assert_int_equal(crowd[i].calls, 0);
        close_watched(&crowd[i]);
    }
}
