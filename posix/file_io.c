/*
 * File I/O by blocking system calls: one attempt at each thing that a file is asked for. Whether to try again,
 * and what to do about short transfers, is decided elsewhere; what goes beyond POSIX is behind file_os.h.
 *
 * Invariant: errno is to the caller what it was before, and a handle that could not be opened as asked for is
 * closed again.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/uio.h>

#include "aioctx/file.h"
#include "core/platform.h"
#include "posix/file_os.h"

_Static_assert(sizeof(AioIoVec) == sizeof(struct iovec) &&
                   offsetof(AioIoVec, base) == offsetof(struct iovec, iov_base) &&
                   offsetof(AioIoVec, len) == offsetof(struct iovec, iov_len),
               "AioIoVec is laid out as the system's");
_Static_assert(sizeof(off_t) == sizeof(int64_t), "offsets are 64 bits wide");

#define MAX_PIECES 1024 /* the usual IOV_MAX; what is beyond comes in another attempt */
#define MAX_ZEROES 64   /* pieces of zeroes written in one attempt */

/* Alignment for handles that go past the page cache. */
static _Alignas(4096) const char zeroes[16384];

static const struct iovec *pieces_of(const AioFileIo *io)
{
    return (const struct iovec *)(const void *)io->iov;
}

static int count_of(const AioFileIo *io)
{
    return io->iovcnt < MAX_PIECES ? io->iovcnt : MAX_PIECES;
}

static int64_t result_of(int64_t n)
{
    return n < 0 ? -errno : n;
}

static int64_t read_some(const AioFileIo *io)
{
    int fd = (int)io->handle;
    if (io->flags & AIO_FILE_IO_NOWAIT) {
        return aio__os_read_nowait(fd, pieces_of(io), count_of(io), io->offset);
    }
    return result_of(preadv(fd, pieces_of(io), count_of(io), io->offset));
}

static int64_t write_pieces(const AioFileIo *io, const struct iovec *iov, int iovcnt)
{
    int fd = (int)io->handle;
    if (!(io->flags & AIO_FILE_FUA)) {
        return result_of(pwritev(fd, iov, iovcnt, io->offset));
    }
    int64_t n = aio__os_write_durable(fd, iov, iovcnt, io->offset);
    if (n == -ENOTSUP) {
        n = result_of(pwritev(fd, iov, iovcnt, io->offset));
        if (n >= 0 && fdatasync(fd) < 0) {
            n = -errno;
        }
    }
    return n;
}

static int64_t write_some_zeroes(const AioFileIo *io)
{
    struct iovec iov[MAX_ZEROES];
    int iovcnt = 0;
    for (int64_t left = io->length; left > 0 && iovcnt < MAX_ZEROES; iovcnt++) {
        size_t len = left < (int64_t)sizeof(zeroes) ? (size_t)left : sizeof(zeroes);
        iov[iovcnt].iov_base = (void *)(uintptr_t)zeroes; /* only read from */
        iov[iovcnt].iov_len = len;
        left -= (int64_t)len;
    }
    return write_pieces(io, iov, iovcnt);
}

static int64_t write_zeroes(const AioFileIo *io)
{
    int fd = (int)io->handle;
    int error = aio__os_zero(fd, io->offset, io->length, io->flags);
    if (error == -ENOTSUP && !(io->flags & AIO_FILE_FAST)) {
        return write_some_zeroes(io);
    }
    if (!error && (io->flags & AIO_FILE_FUA) && fdatasync(fd) < 0) {
        error = -errno;
    }
    return error ? error : io->length;
}

static int64_t size_of(int fd)
{
    struct stat facts;
    if (fstat(fd, &facts) < 0) {
        return -errno;
    }
    return S_ISREG(facts.st_mode) ? facts.st_size : result_of(lseek(fd, 0, SEEK_END));
}

/* The position of the handle, which this moves, is of no use to anybody here. */
static int64_t find_extent(AioFileIo *io)
{
    int fd = (int)io->handle;
    int64_t end = size_of(fd);
    if (end < 0) {
        return end;
    }
    if (io->offset >= end) {
        return -ENXIO;
    }
    int64_t data = result_of(lseek(fd, io->offset, SEEK_DATA));
    io->is_hole = data > io->offset || data == -ENXIO;
    if (data > io->offset) {
        end = data;
    } else if (data == io->offset) {
        int64_t hole = result_of(lseek(fd, io->offset, SEEK_HOLE));
        end = hole > io->offset ? hole : end;
    } else if (data != -ENXIO && data != -EINVAL && data != -ENOTSUP) {
        return data;
    }
    return end - io->offset < io->length ? end - io->offset : io->length;
}

static int64_t probe(AioHandle handle)
{
    struct stat facts;
    int fd = handle >= 0 && handle <= INT32_MAX ? (int)handle : -1;
    int mode = fcntl(fd, F_GETFL);
    if (mode < 0 || fstat(fd, &facts) < 0) {
        return -errno;
    }
    if (S_ISDIR(facts.st_mode)) {
        return -EISDIR;
    }
    if (lseek(fd, 0, SEEK_CUR) < 0) {
        return -errno;
    }
    int64_t access = mode & O_DIRECT ? AIO_FILE_DIRECT : 0;
    switch (mode & O_ACCMODE) {
    case O_RDONLY:
        return access | AIO_FILE_READ;
    case O_WRONLY:
        return access | AIO_FILE_WRITE;
    default:
        return access | AIO_FILE_READ | AIO_FILE_WRITE;
    }
}

static int64_t run(AioFileIo *io)
{
    int fd = (int)io->handle;
    switch (io->kind) {
    case AIO_FILE_IO_READ:
        return read_some(io);
    case AIO_FILE_IO_WRITE:
        return write_pieces(io, pieces_of(io), count_of(io));
    case AIO_FILE_IO_FSYNC:
        return result_of(fsync(fd));
    case AIO_FILE_IO_FDATASYNC:
        return result_of(fdatasync(fd));
    case AIO_FILE_IO_DISCARD:
        return aio__os_discard(fd, io->offset, io->length);
    case AIO_FILE_IO_WRITE_ZEROES:
        return write_zeroes(io);
    case AIO_FILE_IO_SIZE:
        return size_of(fd);
    case AIO_FILE_IO_EXTENT:
        return find_extent(io);
    case AIO_FILE_IO_PROBE:
        return probe(io->handle);
    case AIO_FILE_IO_CLOSE:
        return result_of(close(fd));
    }
    return -EINVAL;
}

int64_t aio__file_io_run(AioFileIo *io)
{
    int saved = errno;
    int64_t result = run(io);
    errno = saved;
    return result;
}

static int open_flags(unsigned flags)
{
    int how = O_CLOEXEC | O_NOCTTY;
    how |= !(flags & AIO_FILE_WRITE) ? O_RDONLY : flags & AIO_FILE_READ ? O_RDWR : O_WRONLY;
    how |= flags & AIO_FILE_CREATE ? O_CREAT : 0;
    how |= flags & AIO_FILE_DIRECT ? O_DIRECT : 0;
    /* What somebody else has locked is not to be truncated. */
    how |= (flags & AIO_FILE_TRUNCATE) && !(flags & AIO_FILE_LOCK) ? O_TRUNC : 0;
    return how;
}

static int lock(int fd, unsigned flags)
{
    int error = aio__os_lock(fd, flags & AIO_FILE_WRITE);
    if (!error && (flags & AIO_FILE_TRUNCATE) && ftruncate(fd, 0) < 0) {
        error = -errno;
    }
    return error;
}

int aio__file_io_open(const char *path, unsigned flags, AioHandle *handle)
{
    int saved = errno;
    int fd;
    do {
        fd = open(path, open_flags(flags), 0666);
    } while (fd < 0 && errno == EINTR);
    int error = fd < 0 ? -errno : 0;
    if (!error && flags & AIO_FILE_LOCK) {
        error = lock(fd, flags);
    }
    int64_t access = error ? error : probe(fd);
    if (access < 0) {
        error = (int)access;
    }
    if (error && fd >= 0) {
        close(fd);
    }
    *handle = fd;
    errno = saved;
    return error;
}
