/*
 * The helpers of the tests of files.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/file_help.h"

void file_done(void *opaque, int64_t ret)
{
    FileDone *d = opaque;
    d->calls++;
    d->ret = ret;
    d->inside |= d->submitting;
    if (d->left) {
        --*d->left;
    }
    if (d->close) {
        aio_file_close(d->close);
    }
    if (d->read) {
        char byte;
        AioIoVec piece = {.base = &byte, .len = 1};
        AioError *error = NULL;
        bool submitted = aio_file_preadv(d->read, &piece, 1, 0, NULL, NULL, &error);
        d->ret = submitted ? 0 : aio_error_code(error);
        aio_error_free(error);
    }
    while (d->wait_for && !d->wait_for->calls) {
        drive(d->ctx, true);
    }
}

int64_t file_finish(AioContext *ctx, FileDone *d, AioRequest *request)
{
    d->submitting = false;
    assert_non_null(request);
    assert_int_equal(d->calls, 0);
    while (!d->calls) {
        drive(ctx, true);
    }
    assert_int_equal(d->calls, 1);
    assert_false(d->inside);
    return d->ret;
}

AioFile *file_open_ok(AioContext *ctx, const char *path, unsigned flags)
{
    AioError *error = NULL;
    AioFile *file = aio_file_open(ctx, path, flags, &error);
    if (!file) {
        print_error("%s\n", aio_error_message(error));
    }
    assert_non_null(file);
    return file;
}

int64_t file_readv(AioContext *ctx, AioFile *file, const AioIoVec *iov, int n, int64_t offset)
{
    FileDone d = {.submitting = true};
    return file_finish(ctx, &d, aio_file_preadv(file, iov, n, offset, file_done, &d, NULL));
}

int64_t file_read(AioContext *ctx, AioFile *file, void *buffer, size_t size, int64_t offset)
{
    AioIoVec piece = {.base = buffer, .len = size};
    return file_readv(ctx, file, &piece, 1, offset);
}

int64_t file_writev(AioContext *ctx, AioFile *file, const AioIoVec *iov, int n, int64_t offset,
                    unsigned flags)
{
    FileDone d = {.submitting = true};
    return file_finish(ctx, &d, aio_file_pwritev(file, iov, n, offset, flags, file_done, &d, NULL));
}

int64_t file_write(AioContext *ctx, AioFile *file, const void *data, size_t size, int64_t offset,
                   unsigned flags)
{
    AioIoVec piece = {.base = (void *)(uintptr_t)data, .len = size};
    return file_writev(ctx, file, &piece, 1, offset, flags);
}

int64_t file_zero(AioContext *ctx, AioFile *file, int64_t offset, int64_t length, unsigned flags)
{
    FileDone d = {.submitting = true};
    return file_finish(ctx, &d,
                       aio_file_write_zeroes(file, offset, length, flags, file_done, &d, NULL));
}

int64_t file_discard(AioContext *ctx, AioFile *file, int64_t offset, int64_t length)
{
    FileDone d = {.submitting = true};
    return file_finish(ctx, &d, aio_file_discard(file, offset, length, file_done, &d, NULL));
}

void file_fill(char *buffer, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1103515245u + 12345u;
        buffer[i] = (char)(seed >> 16);
    }
}

bool file_all_zero(const char *buffer, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (buffer[i]) {
            return false;
        }
    }
    return true;
}
