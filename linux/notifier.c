/*
 * Notifiers as an eventfd(2). One descriptor serves both ends; its counter never overflows in practice
 * (2^64 - 2 sets), and where it would, the notifier is set anyway.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/notify.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Every write(2) to an eventfd is an edge, also while its counter is not zero (epoll(7)). */
const bool aio__notifier_has_edges = true;

int aio_notifier_init(AioNotifier *notifier, bool active)
{
    *notifier = (AioNotifier){.read_handle = AIO_HANDLE_NONE, .write_handle = AIO_HANDLE_NONE};
    int fd = eventfd(active, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    notifier->read_handle = notifier->write_handle = fd;
    return 0;
}

void aio_notifier_cleanup(AioNotifier *notifier)
{
    if (notifier->read_handle == AIO_HANDLE_NONE) {
        return;
    }
    int fd = (int)notifier->read_handle;
    notifier->read_handle = notifier->write_handle = AIO_HANDLE_NONE;
    close(fd);
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
    uint64_t count;
    ssize_t n;
    do {
        n = read((int)notifier->read_handle, &count, sizeof(count));
    } while (n < 0 && errno == EINTR);
    errno = saved;
    return n > 0;
}

AioHandle aio_notifier_handle(const AioNotifier *notifier)
{
    return notifier->read_handle;
}

AioHandleKind aio_notifier_handle_kind(void)
{
    return AIO_HANDLE_FD;
}
