/*
 * Files: opening, closing, and the questions that are answered at once. Their requests are in
 * file_request.c; what the system does is behind platform.h, how requests get there behind file_engine.h.
 *
 * A file keeps its context alive, and outlives its requests.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <errno.h>

#include "aioctx/error.h"
#include "aioctx/wait.h"
#include "core/alloc.h"
#include "core/context.h"
#include "core/defer.h"
#include "core/error_text.h"
#include "core/file_engine.h"
#include "core/request.h"

#define OPEN_FLAGS                                                                                 \
    (AIO_FILE_READ | AIO_FILE_WRITE | AIO_FILE_CREATE | AIO_FILE_TRUNCATE | AIO_FILE_DIRECT |      \
     AIO_FILE_LOCK)

AioPoller *aio__file_engine_poller(AioContext *ctx)
{
    return ctx->poller;
}

int aio__file_engine_use(AioContext *ctx, const AioFileEngineOps *ops)
{
    if (ctx->engine) {
        return -EBUSY;
    }
    return ops->open(ctx, &ctx->engine);
}

void aio__file_engine_close(AioContext *ctx)
{
    if (ctx->engine) {
        ctx->engine->ops->close(ctx->engine);
        ctx->engine = NULL;
    }
}

void aio__file_engine_flush(AioContext *ctx)
{
    AioFileEngine *engine = ctx->engine;
    if (engine && engine->unflushed) {
        engine->unflushed = false;
        engine->ops->flush(engine);
    }
}

static void flush_deferred(void *opaque)
{
    AioContext *ctx = opaque;
    ctx->engine->deferred = false;
    aio__file_engine_flush(ctx);
    aio_context_unref(ctx);
}

void aio__file_engine_gather(AioContext *ctx)
{
    AioFileEngine *engine = ctx->engine;
    if (!engine->ops->flush) {
        return;
    }
    engine->unflushed = true;
    if (ctx->flags & AIO_CONTEXT_SHARED) {
        aio__file_engine_flush(
            ctx); /* at the end of the section another thread may have the lock */
    } else if (!engine->deferred) {
        engine->deferred = true;
        aio_context_ref(ctx); /* the section may outlive all others */
        aio_defer_call(flush_deferred, ctx);
    }
}

void aio__file_engine_hand_over(AioContext *ctx)
{
    aio__file_engine_flush(ctx);
    if (ctx->engine && ctx->engine->deferred && aio__defer_take_back(flush_deferred, ctx)) {
        ctx->engine->deferred = false;
        aio_context_unref(ctx);
    }
}

static bool prepare_engine(AioContext *ctx, AioError **errp)
{
    int error = ctx->engine ? 0 : -ENOTSUP;
    for (int i = 0; error == -ENOTSUP && aio__file_engines[i]; i++) {
        error = aio__file_engine_use(ctx, aio__file_engines[i]);
    }
    if (error) {
        aio_error_set(errp, -error, "Can't set up file I/O for context '%s': %s", ctx->name,
                      aio__error_text(-error));
    }
    return !error;
}

static void close_handle(AioHandle handle)
{
    /* What close(2) reports is about writes that a flush would have reported before. */
    aio__file_io_run(&(AioFileIo){.kind = AIO_FILE_IO_CLOSE, .handle = handle});
}

AioFile *aio_file_from_handle(AioContext *ctx, AioHandle handle, bool own, AioError **errp)
{
    assert(aio__at_home(ctx));
    if (!prepare_engine(ctx, errp)) {
        return NULL;
    }
    int64_t access = aio__file_io_run(&(AioFileIo){.kind = AIO_FILE_IO_PROBE, .handle = handle});
    if (access < 0) {
        aio_error_set(errp, (int)-access, "Can't use handle %lld as a file: %s", (long long)handle,
                      aio__error_text((int)-access));
        return NULL;
    }
    AioFile *file = aio__calloc(1, sizeof(*file));
    if (!file) {
        aio_error_set(errp, ENOMEM, "No memory for a file");
        return NULL;
    }
    aio_context_ref(ctx);
    file->ctx = ctx;
    file->engine = ctx->engine;
    file->handle = handle;
    file->own = own;
    file->access = (unsigned)access;
    return file;
}

static bool check_open_flags(const char *path, unsigned flags, AioError **errp)
{
    const char *wrong = NULL;
    if (flags & ~(unsigned)OPEN_FLAGS) {
        wrong = "there are unknown ones";
    } else if (!(flags & (AIO_FILE_READ | AIO_FILE_WRITE))) {
        wrong = "neither reading nor writing is among them";
    } else if ((flags & AIO_FILE_TRUNCATE) && !(flags & AIO_FILE_WRITE)) {
        wrong = "truncating needs writing";
    }
    if (wrong) {
        aio_error_set(errp, EINVAL, "Can't open '%s' with flags %#x: %s", path, flags, wrong);
    }
    return !wrong;
}

AioFile *aio_file_open(AioContext *ctx, const char *path, unsigned flags, AioError **errp)
{
    AioHandle handle;
    assert(aio__at_home(ctx));
    if (!check_open_flags(path, flags, errp)) {
        return NULL;
    }
    int error = aio__file_io_open(path, flags, &handle);
    if (error) {
        aio_error_set(errp, -error, "Can't open '%s': %s", path,
                      error == -EAGAIN ? "it is locked by another user" : aio__error_text(-error));
        return NULL;
    }
    AioFile *file = aio_file_from_handle(ctx, handle, true, errp);
    if (!file) {
        close_handle(handle);
    }
    return file;
}

void aio_file_close(AioFile *file)
{
    if (!file) {
        return;
    }
    assert(aio__at_home(file->ctx));
    assert(file->state == AIO_FILE_OPEN);
    AioContext *ctx = file->ctx;
    file->state = AIO_FILE_CLOSING;
    while (file->in_flight > 0) {
        aio_poll(ctx, true);
    }
    if (file->own) {
        close_handle(file->handle);
    }
    aio__free(file);
    aio_context_unref(ctx);
}

AioHandle aio_file_handle(const AioFile *file)
{
    return file->handle;
}

int64_t aio_file_size(AioFile *file)
{
    assert(aio__at_home(file->ctx));
    return aio__file_io_run(&(AioFileIo){.kind = AIO_FILE_IO_SIZE, .handle = file->handle});
}

int aio_file_extent(AioFile *file, int64_t offset, int64_t length, AioFileExtent *extent)
{
    assert(aio__at_home(file->ctx));
    if (offset < 0 || length <= 0) {
        return -EINVAL;
    }
    AioFileIo io = {
        .kind = AIO_FILE_IO_EXTENT, .handle = file->handle, .offset = offset, .length = length};
    int64_t found = aio__file_io_run(&io);
    if (found < 0) {
        return (int)found;
    }
    *extent = (AioFileExtent){.length = found, .is_hole = io.is_hole};
    return 0;
}
