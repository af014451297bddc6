/*
 * Files in tests: one request at a time, and what its completion is to do.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_TESTS_FILE_HELP_H
#define AIOCTX_TESTS_FILE_HELP_H

#include "tests/fixture_file.h"

#define RW (AIO_FILE_READ | AIO_FILE_WRITE)

/* The completion of one request. */
typedef struct FileDone {
    AioContext *ctx;
    int calls;
    int64_t ret;
    bool inside; /* came while `submitting` */
    bool submitting;
    AioFile *close;            /* in the callback */
    AioFile *read;             /* in the callback, to see that it is refused */
    struct FileDone *wait_for; /* in the callback, by polling */
    int *left;
} FileDone;

/* The completion that all of these use; `opaque` is a FileDone. */
void file_done(void *opaque, int64_t ret);

/* The result of a request that was just submitted: it must come later, and once. */
int64_t file_finish(AioContext *ctx, FileDone *d, AioRequest *request);

/* Open it, or fail the test. */
AioFile *file_open_ok(AioContext *ctx, const char *path, unsigned flags);

/* Submit, and run the context until the result is there. */
int64_t file_readv(AioContext *ctx, AioFile *file, const AioIoVec *iov, int n, int64_t offset);
int64_t file_read(AioContext *ctx, AioFile *file, void *buffer, size_t size, int64_t offset);
int64_t file_writev(AioContext *ctx, AioFile *file, const AioIoVec *iov, int n, int64_t offset,
                    unsigned flags);
int64_t file_write(AioContext *ctx, AioFile *file, const void *data, size_t size, int64_t offset,
                   unsigned flags);
int64_t file_zero(AioContext *ctx, AioFile *file, int64_t offset, int64_t length, unsigned flags);
int64_t file_discard(AioContext *ctx, AioFile *file, int64_t offset, int64_t length);

/* Bytes that look random. */
void file_fill(char *buffer, size_t size, unsigned seed);
bool file_all_zero(const char *buffer, size_t size);

#endif
