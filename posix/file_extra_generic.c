/*
 * For systems of which we know nothing beyond POSIX: all is refused, so that callers fall back to plain writes
 * and flushes, but for the lock, which they could not do without. It remembers nothing and leaves errno to its
 * caller.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include <sys/file.h>

#include "posix/file_os.h"

int64_t aio__os_read_nowait(int fd, const struct iovec *iov, int iovcnt, int64_t offset)
{
    (void)fd, (void)iov, (void)iovcnt, (void)offset;
    return -ENOTSUP;
}

int64_t aio__os_write_durable(int fd, const struct iovec *iov, int iovcnt, int64_t offset)
{
    (void)fd, (void)iov, (void)iovcnt, (void)offset;
    return -ENOTSUP;
}

int aio__os_discard(int fd, int64_t offset, int64_t length)
{
    (void)fd, (void)offset, (void)length;
    return -ENOTSUP;
}

int aio__os_zero(int fd, int64_t offset, int64_t length, unsigned flags)
{
    (void)fd, (void)offset, (void)length, (void)flags;
    return -ENOTSUP;
}

int aio__os_lock(int fd, bool exclusive)
{
    /* Older than POSIX, but on all its descendants, and it belongs to the open file. */
    int error = flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0 ? errno : 0;
    return error == EWOULDBLOCK ? -EAGAIN : -error;
}
