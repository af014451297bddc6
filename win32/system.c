/*
 * The remaining small questions to Windows: the process, its environment, and which handles can be watched.
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

/* Of a socket, the poller finds out what it is: as elsewhere, where that would take a call of its own. */
int aio__handle_check(AioHandle handle, AioHandleKind *kind)
{
    AioObjectKind object;
    switch (*kind) {
    case AIO_HANDLE_FD: /* a socket that fits */
        *kind = AIO_HANDLE_SOCKET;
        return handle < 0 || handle > INT32_MAX ? -EBADF : 0;
    case AIO_HANDLE_SOCKET:
        return handle < 0 ? -EBADF : 0;
    case AIO_HANDLE_OBJECT:
        return aio__object_identify(handle, &object);
    }
    return -EINVAL;
}
