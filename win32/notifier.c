/*
 * Notifiers as manual-reset events: an event that is set already takes a further set, and clearing takes all.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/notify.h"

#include <errno.h>

#include "win32/win32.h"

bool aio__notifier_has_edges(const AioNotifier *notifier)
{
    (void)notifier;
    return false; /* an event that is set gives no further news */
}

static HANDLE event_of(const AioNotifier *notifier)
{
    return (HANDLE)notifier->read_handle;
}

int aio_notifier_init(AioNotifier *notifier, bool active)
{
    *notifier = (AioNotifier){.read_handle = AIO_HANDLE_NONE, .write_handle = AIO_HANDLE_NONE};
    HANDLE event = CreateEventW(NULL, TRUE, active, NULL);
    if (!event) {
        return aio__last_error();
    }
    notifier->read_handle = notifier->write_handle = (AioHandle)event;
    return 0;
}

void aio_notifier_cleanup(AioNotifier *notifier)
{
    if (notifier->read_handle == AIO_HANDLE_NONE) {
        return;
    }
    HANDLE event = event_of(notifier);
    notifier->read_handle = notifier->write_handle = AIO_HANDLE_NONE;
    CloseHandle(event);
}

int aio_notifier_set(AioNotifier *notifier)
{
    if (notifier->write_handle == AIO_HANDLE_NONE) {
        return -EBADF;
    }
    return SetEvent(event_of(notifier)) ? 0 : aio__last_error();
}

bool aio_notifier_test_and_clear(AioNotifier *notifier)
{
    if (notifier->read_handle == AIO_HANDLE_NONE ||
        WaitForSingleObject(event_of(notifier), 0) != WAIT_OBJECT_0) {
        return false;
    }
    ResetEvent(event_of(notifier));
    return true;
}

AioHandle aio_notifier_handle(const AioNotifier *notifier)
{
    return notifier->read_handle;
}

AioHandleKind aio_notifier_handle_kind(void)
{
    return AIO_HANDLE_OBJECT;
}
