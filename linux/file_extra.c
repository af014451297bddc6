/*
 * Files on Linux, beyond POSIX: reads that do not wait, durable writes, holes, and locks of an open file.
 * preadv2 and pwritev2 are called by number, since not every C library has them. Nothing is done another way
 * here where the system refuses: that is one error, -ENOTSUP, whatever the kernel called it, and the caller's to
 * mend.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "aioctx/file.h"
#include "posix/file_os.h"

/* Not known to kernel, file system or device: all the same to us. */
static int refusal(int error)
{
    return error == EOPNOTSUPP || error == ENOSYS || error == ENODEV ? -ENOTSUP : -error;
}

static int64_t transfer(long number, int fd, const struct iovec *iov, int iovcnt, int64_t offset,
                        int flags)
{
    long low = (long)offset;
    long high = (long)((uint64_t)offset >> 32); /* looked at by 32-bit systems only */
    long n = syscall(number, fd, iov, (long)iovcnt, low, high, flags);
    return n < 0 ? refusal(errno) : n;
}

int64_t aio__os_read_nowait(int fd, const struct iovec *iov, int iovcnt, int64_t offset)
{
    return transfer(SYS_preadv2, fd, iov, iovcnt, offset, RWF_NOWAIT);
}

int64_t aio__os_write_durable(int fd, const struct iovec *iov, int iovcnt, int64_t offset)
{
    return transfer(SYS_pwritev2, fd, iov, iovcnt, offset, RWF_DSYNC);
}

int aio__os_discard(int fd, int64_t offset, int64_t length)
{
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    return fallocate(fd, mode, offset, length) < 0 ? refusal(errno) : 0;
}

int aio__os_zero(int fd, int64_t offset, int64_t length, unsigned flags)
{
    struct stat facts;
    if (fstat(fd, &facts) < 0) {
        return -errno;
    }
    bool is_device = S_ISBLK(facts.st_mode);
    /* A hole can't make a file longer. */
    if (!(flags & AIO_FILE_NO_HOLE) && (is_device || offset + length <= facts.st_size)) {
        int error = aio__os_discard(fd, offset, length);
        if (error != -ENOTSUP) {
            return error;
        }
    }
    if (is_device && (flags & AIO_FILE_FAST)) {
        return -ENOTSUP; /* the kernel would write zeroes where the device can't */
    }
    return fallocate(fd, FALLOC_FL_ZERO_RANGE, offset, length) < 0 ? refusal(errno) : 0;
}

int aio__os_lock(int fd, bool exclusive)
{
    struct flock lock = {.l_type = exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
        return 0;
    }
    return errno == EACCES ? -EAGAIN : -errno;
}
