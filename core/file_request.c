/*
 * The requests of files: checking them, handing them to the engine, putting short transfers together, and their
 * completion. How bytes are moved is the engine's business, and files themselves are in file.c.
 *
 * Invariant: whatever the engine, a transfer is either complete, cut short by the end of the file, or an error,
 * and it completes once, never from inside its submission.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <errno.h>

#include "aioctx/coroutine.h"
#include "aioctx/error.h"
#include "core/alloc.h"
#include "core/context.h"
#include "core/error_text.h"
#include "core/file_engine.h"
#include "core/request.h"

/* How often in a row the system may ask to try again before that is the result. */
#define MAX_RETRIES 100

static const char *name_of(AioFileIoKind kind)
{
    static const char *const names[] = {
        [AIO_FILE_IO_READ] = "read",       [AIO_FILE_IO_WRITE] = "write",
        [AIO_FILE_IO_FSYNC] = "fsync",     [AIO_FILE_IO_FDATASYNC] = "fdatasync",
        [AIO_FILE_IO_DISCARD] = "discard", [AIO_FILE_IO_WRITE_ZEROES] = "write zeroes",
    };
    return names[kind];
}

static bool has_range(AioFileIoKind kind)
{
    return kind != AIO_FILE_IO_FSYNC && kind != AIO_FILE_IO_FDATASYNC;
}

static bool is_over(AioFileOp *op, int64_t result)
{
    op->result = result;
    op->state = AIO_FILE_OP_OVER;
    return false;
}

/* Take `count` bytes off what is left. */
static void consume(AioFileOp *op, int64_t count)
{
    op->io.offset += count;
    op->io.length -= count;
    op->transferred += count;
    if (!op->io.iov) {
        return;
    }
    while (op->io.iovcnt > 0 && (uint64_t)count >= op->next_piece->len) {
        count -= (int64_t)op->next_piece->len;
        op->next_piece++;
        op->io.iovcnt--;
    }
    if (count > 0) {
        op->next_piece->base = (char *)op->next_piece->base + count;
        op->next_piece->len -= (size_t)count;
    }
    op->io.iov = op->next_piece;
}

bool aio__file_op_advance(AioFileOp *op, int64_t result)
{
    assert(op->state == AIO_FILE_OP_STARTED);
    if (result == -EINTR || (result == -EAGAIN && op->retries < MAX_RETRIES)) {
        op->retries++;
        return true;
    }
    op->retries = 0;
    if (result < 0) {
        return is_over(op, result);
    }
    if (op->io.kind != AIO_FILE_IO_READ && op->io.kind != AIO_FILE_IO_WRITE &&
        op->io.kind != AIO_FILE_IO_WRITE_ZEROES) {
        return is_over(op, 0);
    }
    assert(result <= op->io.length);
    consume(op, result);
    if (op->io.length == 0) {
        return is_over(op, op->io.kind == AIO_FILE_IO_WRITE_ZEROES ? 0 : op->transferred);
    }
    if (result == 0) {
        /* The end of the file; where it comes to writing, a device that takes no more and does not say why. */
        return is_over(op, op->io.kind == AIO_FILE_IO_READ ? op->transferred : -EIO);
    }
    return true;
}

void aio__file_op_complete(AioFileOp *op)
{
    assert(op->state == AIO_FILE_OP_OVER);
    aio__free(op->more_pieces);
    op->more_pieces = NULL;
    op->file->in_flight--; /* before the callback, which may close the file */
    aio_request_complete(&op->request, op->result);
}

static void complete_nothing(void *opaque)
{
    aio__file_op_complete(opaque);
}

static void cancel_op(AioRequest *request)
{
    AioFileOp *op = (AioFileOp *)request;
    if (!op->nothing_to_do) {
        op->file->engine->ops->cancel(op->file->engine, op);
    }
}

static const AioRequestInfo file_request_info = {
    .cancel_async = cancel_op,
    .size = sizeof(AioFileOp),
};

/* Add up the pieces of a transfer into io->length. */
static bool check_pieces(AioFileIo *io, AioError **errp)
{
    if (io->iovcnt < 0 || (io->iovcnt > 0 && !io->iov)) {
        aio_error_set(errp, EINVAL, "Can't %s %d pieces", name_of(io->kind), io->iovcnt);
        return false;
    }
    uint64_t total = 0;
    for (int i = 0; i < io->iovcnt; i++) {
        uint64_t len = io->iov[i].len;
        if (len > (uint64_t)INT64_MAX - total) {
            aio_error_set(errp, EINVAL, "Can't %s that much: piece %d has %llu bytes after %llu",
                          name_of(io->kind), i, (unsigned long long)len, (unsigned long long)total);
            return false;
        }
        total += len;
    }
    io->length = (int64_t)total;
    return true;
}

static bool check(const AioFile *file, AioFileIo *io, unsigned allowed_flags, AioError **errp)
{
    bool transfer = io->kind == AIO_FILE_IO_READ || io->kind == AIO_FILE_IO_WRITE;
    const char *name = name_of(io->kind);
    if (file->state != AIO_FILE_OPEN) {
        aio_error_set(errp, EBADF, "Can't %s: the file is being closed", name);
    } else if (has_range(io->kind) &&
               !(file->access & (io->kind == AIO_FILE_IO_READ ? AIO_FILE_READ : AIO_FILE_WRITE))) {
        aio_error_set(errp, EBADF, "Can't %s: the file is not open for that", name);
    } else if (io->flags & ~allowed_flags) {
        aio_error_set(errp, EINVAL, "Can't %s with flags %#x", name, io->flags);
    } else if (transfer && !check_pieces(io, errp)) {
        return false;
    } else if (io->offset < 0) {
        aio_error_set(errp, EINVAL, "Can't %s at the negative offset %lld", name,
                      (long long)io->offset);
    } else if (io->length < 0) {
        aio_error_set(errp, EINVAL, "Can't %s a negative length, %lld", name,
                      (long long)io->length);
    } else if (io->length > INT64_MAX - io->offset) {
        aio_error_set(errp, EINVAL, "Can't %s %lld bytes at offset %lld: no file is that long",
                      name, (long long)io->length, (long long)io->offset);
    } else {
        return true;
    }
    return false;
}

static int count_pieces(const AioFileIo *io)
{
    int count = 0;
    for (int i = 0; i < io->iovcnt; i++) {
        count += io->iov[i].len > 0;
    }
    return count;
}

/* Copy the pieces. Empty ones would only take the room of others in what the system is given at once. */
static void copy_pieces(AioIoVec *to, const AioFileIo *io)
{
    for (int i = 0; i < io->iovcnt; i++) {
        if (io->iov[i].len > 0) {
            *to++ = io->iov[i];
        }
    }
}

/* A request for `io`, with a copy of the pieces. */
static AioFileOp *prepare(AioFile *file, const AioFileIo *io, AioCompletionFunc *cb, void *opaque)
{
    AioFileOp *op =
        aio__request_get(&file_request_info, file->engine->ops->op_size, file->ctx, cb, opaque);
    if (!op) {
        return NULL;
    }
    op->file = file;
    op->io = *io;
    op->io.handle = file->handle;
    op->nothing_to_do = has_range(io->kind) && io->length == 0;
    op->state = AIO_FILE_OP_PREPARED;
    op->retries = 0;
    op->transferred = 0;
    op->more_pieces = NULL;
    op->next_piece = op->pieces;
    if (!io->iov) {
        return op;
    }
    op->io.iovcnt = count_pieces(io);
    if (op->io.iovcnt > AIO_FILE_OP_INLINE_PIECES) {
        op->more_pieces = aio__malloc(sizeof(AioIoVec) * (size_t)op->io.iovcnt);
        if (!op->more_pieces) {
            aio_request_unref(op);
            return NULL;
        }
        op->next_piece = op->more_pieces;
    }
    copy_pieces(op->next_piece, io);
    op->io.iov = op->next_piece;
    return op;
}

/* Hand it to the engine, or, with nothing to do, have it completed by the loop. */
static int start(AioFileOp *op)
{
    AioFileEngine *engine = op->file->engine;
    op->state = AIO_FILE_OP_STARTED;
    if (op->nothing_to_do) {
        is_over(op, 0);
        return aio_bh_oneshot(op->file->ctx, complete_nothing, op, "empty file request", NULL)
                   ? 0
                   : -ENOMEM;
    }
    int error = engine->ops->submit(engine, op);
    if (!error) {
        aio__file_engine_gather(op->file->ctx);
    }
    return error;
}

static AioRequest *submit(AioFile *file, AioFileIo io, unsigned allowed_flags,
                          AioCompletionFunc *cb, void *opaque, AioError **errp)
{
    assert(aio__at_home(file->ctx));
    if (!check(file, &io, allowed_flags, errp)) {
        return NULL;
    }
    io.flags |= file->access & AIO_FILE_DIRECT ? AIO_FILE_IO_DIRECT : 0;
    AioFileOp *op = prepare(file, &io, cb, opaque);
    if (!op) {
        aio_error_set(errp, ENOMEM, "No memory to %s %lld bytes at offset %lld", name_of(io.kind),
                      (long long)io.length, (long long)io.offset);
        return NULL;
    }
    int error = start(op);
    if (error) {
        aio_error_set(errp, -error, "Can't start to %s %lld bytes at offset %lld: %s",
                      name_of(io.kind), (long long)io.length, (long long)io.offset,
                      aio__error_text(-error));
        aio__free(op->more_pieces);
        aio_request_unref(op);
        return NULL;
    }
    file->in_flight++;
    return &op->request;
}

AioRequest *aio_file_preadv(AioFile *file, const AioIoVec *iov, int iovcnt, int64_t offset,
                            AioCompletionFunc *cb, void *opaque, AioError **errp)
{
    AioFileIo io = {.kind = AIO_FILE_IO_READ, .iov = iov, .iovcnt = iovcnt, .offset = offset};
    return submit(file, io, 0, cb, opaque, errp);
}

AioRequest *aio_file_pwritev(AioFile *file, const AioIoVec *iov, int iovcnt, int64_t offset,
                             unsigned flags, AioCompletionFunc *cb, void *opaque, AioError **errp)
{
    AioFileIo io = {
        .kind = AIO_FILE_IO_WRITE, .flags = flags, .iov = iov, .iovcnt = iovcnt, .offset = offset};
    return submit(file, io, AIO_FILE_FUA, cb, opaque, errp);
}

AioRequest *aio_file_fsync(AioFile *file, AioCompletionFunc *cb, void *opaque, AioError **errp)
{
    return submit(file, (AioFileIo){.kind = AIO_FILE_IO_FSYNC}, 0, cb, opaque, errp);
}

AioRequest *aio_file_fdatasync(AioFile *file, AioCompletionFunc *cb, void *opaque, AioError **errp)
{
    return submit(file, (AioFileIo){.kind = AIO_FILE_IO_FDATASYNC}, 0, cb, opaque, errp);
}

AioRequest *aio_file_discard(AioFile *file, int64_t offset, int64_t length, AioCompletionFunc *cb,
                             void *opaque, AioError **errp)
{
    AioFileIo io = {.kind = AIO_FILE_IO_DISCARD, .offset = offset, .length = length};
    return submit(file, io, 0, cb, opaque, errp);
}

#define ZEROES_FLAGS (AIO_FILE_NO_HOLE | AIO_FILE_FAST | AIO_FILE_FUA)

AioRequest *aio_file_write_zeroes(AioFile *file, int64_t offset, int64_t length, unsigned flags,
                                  AioCompletionFunc *cb, void *opaque, AioError **errp)
{
    AioFileIo io = {
        .kind = AIO_FILE_IO_WRITE_ZEROES, .flags = flags, .offset = offset, .length = length};
    return submit(file, io, ZEROES_FLAGS, cb, opaque, errp);
}
