/*
 * Asynchronous file I/O.
 *
 * An AioFile belongs to one context and keeps a reference to it. Requests of one file run in any order and at
 * the same time; a flush covers the writes that completed before it was submitted, through whatever handle of
 * the same file. Short transfers are completed by the library: a result is less than what was asked for only
 * where a read meets the end of the file, and a transfer that fails half-way is an error. A read that the page
 * cache can satisfy may be done inside the call; it still completes later, like every other. So does a request
 * for no bytes at all, with 0. Cancellation follows the contract of request.h; what a cancelled write had
 * written by then stays written.
 *
 * Jobs of aio_get_thread_pool() do not hold them up: what needs a thread has workers of its own.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_FILE_H
#define AIOCTX_FILE_H

#include "aioctx/request.h"
#include "aioctx/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum AioFileOpenFlags {
    AIO_FILE_READ = 1 << 0,
    AIO_FILE_WRITE = 1 << 1,
    AIO_FILE_CREATE = 1 << 2, /* with mode 0666 less the umask */
    AIO_FILE_TRUNCATE = 1 << 3,
    AIO_FILE_DIRECT = 1 << 4, /* past the page cache; buffers and offsets must be aligned */
    AIO_FILE_LOCK = 1 << 5,   /* EAGAIN where held elsewhere; shared to read, exclusive to write */
} AioFileOpenFlags;

/* Flags of a single request. */
typedef enum AioFileRequestFlags {
    AIO_FILE_FUA = 1 << 0,     /* write: on stable storage when it completes */
    AIO_FILE_NO_HOLE = 1 << 1, /* write-zeroes: keep the space allocated */
    AIO_FILE_FAST = 1 << 2,    /* write-zeroes: ENOTSUP rather than write data */
} AioFileRequestFlags;

/* A part of a file that holds data, or reads as zeroes: no space is taken for it, or it was never written. */
typedef struct AioFileExtent {
    int64_t length;
    bool is_hole;
} AioFileExtent;

/*
 * Open a file by its path (UTF-8 on Windows), for reading, writing or both. Blocks as open(2) does. Returns NULL
 * and an error: EINVAL for flags, EISDIR, ESPIPE for what has no offsets, or what the system says. A file that
 * is locked by another is not truncated. On Windows its handle may be bound, see aio_file_handle().
 *
 * Thread: home
 */
AIO_EXPORT AioFile *aio_file_open(AioContext *ctx, const char *path, unsigned flags,
                                  AioError **errp);

/*
 * Wrap a handle that is open already; with `own`, aio_file_close() closes it, and on Windows it may be bound, see
 * aio_file_handle(). Its file position is moved. NULL and an error as aio_file_open(), EBADF for what is no open handle.
 *
 * Thread: home
 */
AIO_EXPORT AioFile *aio_file_from_handle(AioContext *ctx, AioHandle handle, bool own,
                                         AioError **errp);

/*
 * Close a file. With requests in flight, runs the context until they have completed; new ones are refused
 * meanwhile. May be called in a callback, of a request of the same file, too. NULL is accepted.
 *
 * Thread: home, no coroutine
 */
AIO_EXPORT void aio_file_close(AioFile *file);

/*
 * The handle under a file, owned by it: for what this interface does not offer, and to let other contexts
 * use the same open file by aio_file_from_handle().
 *
 * On Windows the first request may bind it, where the file owns it, to the completion port of its context, until it is
 * closed. Overlapped calls of your own take an event whose lowest bit is set then (GetQueuedCompletionStatus(),
 * Windows API); FILE_SKIP_COMPLETION_PORT_ON_SUCCESS is set before the first request, or never.
 *
 * Thread: any
 */
AIO_EXPORT AioHandle aio_file_handle(const AioFile *file);

/*
 * Its size in bytes (of a block device, too), or a negative errno value. Blocks as fstat(2) does.
 *
 * Thread: home
 */
AIO_EXPORT int64_t aio_file_size(AioFile *file);

/*
 * What lies at `offset`: one extent, cut at `length`. 0 or a negative errno value; where the system does
 * not know, all is data. Blocks as lseek(2) does. ENXIO beyond the end.
 *
 * Thread: home
 */
AIO_EXPORT int aio_file_extent(AioFile *file, int64_t offset, int64_t length,
                               AioFileExtent *extent);

/*
 * Read into the pieces of `iov` (the array is copied or consumed before the return, the buffers are
 * borrowed until the completion; any number of pieces). Result: the number of bytes, or a negative errno value.
 * NULL and an error where it can't be submitted: EINVAL for a bad offset, length, count or flag, which it names,
 * EBADF where the file is being closed or not open for that, ENOMEM, or what keeps the first worker from
 * being started.
 *
 * Thread: home
 */
AIO_EXPORT AioRequest *aio_file_preadv(AioFile *file, const AioIoVec *iov, int iovcnt,
                                       int64_t offset, AioCompletionFunc *cb, void *opaque,
                                       AioError **errp);

/*
 * Write, as aio_file_preadv() reads. `flags`: AIO_FILE_FUA.
 *
 * Thread: home
 */
AIO_EXPORT AioRequest *aio_file_pwritev(AioFile *file, const AioIoVec *iov, int iovcnt,
                                        int64_t offset, unsigned flags, AioCompletionFunc *cb,
                                        void *opaque, AioError **errp);

/*
 * Bring data and metadata to stable storage (fsync(2)).
 *
 * Thread: home
 */
AIO_EXPORT AioRequest *aio_file_fsync(AioFile *file, AioCompletionFunc *cb, void *opaque,
                                      AioError **errp);

/*
 * Bring data to stable storage, and what is needed to read it (fdatasync(2)).
 *
 * Thread: home
 */
AIO_EXPORT AioRequest *aio_file_fdatasync(AioFile *file, AioCompletionFunc *cb, void *opaque,
                                          AioError **errp);

/*
 * Say that a range is of no use any more; what it reads as afterwards is not defined, and the size stays.
 * -ENOTSUP where the file system can't.
 *
 * Thread: home
 */
AIO_EXPORT AioRequest *aio_file_discard(AioFile *file, int64_t offset, int64_t length,
                                        AioCompletionFunc *cb, void *opaque, AioError **errp);

/*
 * Make a range read as zeroes; beyond the end the file becomes longer. `flags`: AIO_FILE_NO_HOLE,
 * AIO_FILE_FAST, AIO_FILE_FUA.
 *
 * Thread: home
 */
AIO_EXPORT AioRequest *aio_file_write_zeroes(AioFile *file, int64_t offset, int64_t length,
                                             unsigned flags, AioCompletionFunc *cb, void *opaque,
                                             AioError **errp);

/*
 * The same for coroutines: each yields until it is done and returns the result.
 *
 * Thread: home, coroutine
 */
AIO_EXPORT int64_t aio_file_co_preadv(AioFile *file, const AioIoVec *iov, int iovcnt,
                                      int64_t offset);

/*
 * See aio_file_pwritev().
 *
 * Thread: home, coroutine
 */
AIO_EXPORT int64_t aio_file_co_pwritev(AioFile *file, const AioIoVec *iov, int iovcnt,
                                       int64_t offset, unsigned flags);

/*
 * See aio_file_fsync().
 *
 * Thread: home, coroutine
 */
AIO_EXPORT int aio_file_co_fsync(AioFile *file);

/*
 * See aio_file_fdatasync().
 *
 * Thread: home, coroutine
 */
AIO_EXPORT int aio_file_co_fdatasync(AioFile *file);

/*
 * See aio_file_discard().
 *
 * Thread: home, coroutine
 */
AIO_EXPORT int aio_file_co_discard(AioFile *file, int64_t offset, int64_t length);

/*
 * See aio_file_write_zeroes().
 *
 * Thread: home, coroutine
 */
AIO_EXPORT int aio_file_co_write_zeroes(AioFile *file, int64_t offset, int64_t length,
                                        unsigned flags);

#ifdef __cplusplus
}
#endif

#endif
