/*
 * Notifiers: an eventfd, or a pipe(2) where the system has none, which a kernel may say only when it is asked.
 *
 * Setting writes 8 bytes and clearing reads until nothing is left, so that either serves. A full pipe, or
 * counter, is a notifier that is set. The two handles are the same exactly where it is an eventfd.
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L
#include "core/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "posix/eventfd.h"

bool aio__notifier_has_edges(const AioNotifier *notifier)
{
    /*
     * Every write(2) to an eventfd is an edge, also while its counter is not zero (epoll(7)). A full pipe takes no
     * more writes, so it gives no more edges.
     */
    return notifier->read_handle == notifier->write_handle;
}

static int prepare(int fd)
{
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        return -errno;
    }
    return 0;
}

static int open_pipe(AioNotifier *notifier, bool active)
{
    int fds[2];
    if (pipe(fds) < 0) {
        return -errno;
    }
    notifier->read_handle = fds[0];
    notifier->write_handle = fds[1];
    int error = prepare(fds[0]);
    if (!error) {
        error = prepare(fds[1]);
    }
    if (!error && active) {
        error = aio_notifier_set(notifier);
    }
    if (error) {
        aio_notifier_cleanup(notifier);
    }
    return error;
}

int aio_notifier_init(AioNotifier *notifier, bool active)
{
    *notifier = (AioNotifier){.read_handle = AIO_HANDLE_NONE, .write_handle = AIO_HANDLE_NONE};
    int fd = aio__eventfd_open(active);
    if (fd == -ENOSYS) {
        return open_pipe(notifier, active);
    }
    if (fd < 0) {
        return fd;
    }
    notifier->read_handle = notifier->write_handle = fd;
    return 0;
}

void aio_notifier_cleanup(AioNotifier *notifier)
{
    if (notifier->read_handle == AIO_HANDLE_NONE) {
        return;
    }
    int read_fd = (int)notifier->read_handle;
    int write_fd = (int)notifier->write_handle;
    notifier->read_handle = notifier->write_handle = AIO_HANDLE_NONE;
    close(read_fd);
    if (write_fd != read_fd) {
        close(write_fd);
    }
}

int aio_notifier_set(AioNotifier *notifier)
{
    static const uint64_t one = 1;
    if (notifier->write_handle == AIO_HANDLE_NONE) {
        return -EBADF;
    }
    int saved = errno;
    ssize_t n;
    do {
        n = write((int)notifier->write_handle, &one, sizeof(one));
    } while (n < 0 && errno == EINTR);
    int result = n < 0 && errno != EAGAIN ? -errno : 0; /* EAGAIN: as set as can be */
    errno = saved;
    return result;
}

bool aio_notifier_test_and_clear(AioNotifier *notifier)
{
    if (notifier->read_handle == AIO_HANDLE_NONE) {
        return false;
    }
    int saved = errno;
    bool was_set = false;
    uint64_t buffer
        [64]; /* one read empties an eventfd, and is enough for a pipe that was set less often */
    ssize_t n;
    do {
        n = read((int)notifier->read_handle, buffer, sizeof(buffer));
        was_set |= n > 0;
    } while (n == sizeof(buffer) || (n < 0 && errno == EINTR));
    errno = saved;
    return was_set;
}

AioHandle aio_notifier_handle(const AioNotifier *notifier)
{
    return notifier->read_handle;
}

AioHandleKind aio_notifier_handle_kind(void)
{
    return AIO_HANDLE_FD;
}
