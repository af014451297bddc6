/*
 * What posix/file_io.c asks of the system beyond POSIX. linux/file_extra.c has it for Linux,
 * posix/file_extra_generic.c does without. All return a negative errno value where they fail.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_POSIX_FILE_OS_H
#define AIOCTX_POSIX_FILE_OS_H

#include <stdbool.h>
#include <stdint.h>

#include <sys/uio.h>

/* Read what is in memory: -EAGAIN where nothing is, -ENOTSUP where the file can't be asked. */
int64_t aio__os_read_nowait(int fd, const struct iovec *iov, int iovcnt, int64_t offset);

/* Write, to stable storage: -ENOTSUP where that takes a flush of its own. */
int64_t aio__os_write_durable(int fd, const struct iovec *iov, int iovcnt, int64_t offset);

/* Give up the space of a range; the size stays. -ENOTSUP where the file can't. */
int aio__os_discard(int fd, int64_t offset, int64_t length);

/*
 * Make a range read as zeroes and the file reach its end, without writing it (`flags`: AIO_FILE_NO_HOLE,
 * AIO_FILE_FAST). -ENOTSUP where the file can't.
 */
int aio__os_zero(int fd, int64_t offset, int64_t length, unsigned flags);

/* Lock the whole file for this open file, not for the process. -EAGAIN where another has it. */
int aio__os_lock(int fd, bool exclusive);

#endif
