/*
 * The remaining small questions to Windows: the process, its environment, and which handles can be watched.
 *
 * A mutex can't: a wait makes it the waiting thread's own, which nobody who registers it could mean.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdlib.h>

#include "core/platform.h"
#include "win32/object.h"

void aio__cpu_relax(void)
{
    YieldProcessor();
}

const char *aio__getenv(const char *name)
{
    return getenv(name); /* rights are not borrowed here */
}

uint64_t aio__process_id(void)
{
    return GetCurrentProcessId(); /* nobody's copy */
}

static int check_object(AioHandle handle)
{
    DWORD flags;
    if (handle <= 0 || !GetHandleInformation((HANDLE)handle, &flags)) {
        return -EBADF;
    }
    return aio__object_kind((HANDLE)handle) == AIO_OBJECT_MUTEX ? -ENOTSUP : 0;
}

/* Of a socket, the poller finds out what it is: as elsewhere, where that would take a call of its own. */
int aio__handle_check(AioHandle handle, AioHandleKind *kind)
{
    switch (*kind) {
    case AIO_HANDLE_FD: /* a socket that fits */
        *kind = AIO_HANDLE_SOCKET;
        return handle < 0 || handle > INT32_MAX ? -EBADF : 0;
    case AIO_HANDLE_SOCKET:
        return handle < 0 ? -EBADF : 0;
    case AIO_HANDLE_OBJECT:
        return check_object(handle);
    }
    return -EINVAL;
}
