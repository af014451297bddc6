/*
 * Notifiers as a pipe(2), where there is no eventfd. A full pipe is a notifier that is set; clearing reads
 * until nothing is left.
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L
#include "core/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* A full pipe takes no more writes, so it gives no more edges. */
const bool aio__notifier_has_edges = false;

static int prepare(int fd)
{
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        return -errno;
    }
    return 0;
}

int aio_notifier_init(AioNotifier *notifier, bool active)
{
    *notifier = (AioNotifier){.read_handle = AIO_HANDLE_NONE, .write_handle = AIO_HANDLE_NONE};
    int fds[2];
    if (pipe(fds) < 0) {
        return -errno;
    }
    int error = prepare(fds[0]);
    if (!error) {
        error = prepare(fds[1]);
    }
    if (error) {
        close(fds[0]);
        close(fds[1]);
        return error;
    }
    notifier->read_handle = fds[0];
    notifier->write_handle = fds[1];
    if (active) {
        aio_notifier_set(notifier);
    }
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
    close(write_fd);
}

int aio_notifier_set(AioNotifier *notifier)
{
    if (notifier->write_handle == AIO_HANDLE_NONE) {
        return -EBADF;
    }
    int saved = errno;
    ssize_t n;
    do {
        n = write((int)notifier->write_handle, "", 1);
    } while (n < 0 && errno == EINTR);
    int result = n < 0 && errno != EAGAIN ? -errno : 0; /* EAGAIN: full, so it is set */
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
    char buffer[512];
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
