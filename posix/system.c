/*
 * The remaining small questions to a POSIX system.
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <unistd.h>

#include "core/platform.h"

uint64_t aio__process_id(void)
{
    return (uint64_t)getpid();
}

int aio__handle_check(AioHandle handle, AioHandleKind *kind)
{
    switch (*kind) {
    case AIO_HANDLE_FD:
    case AIO_HANDLE_SOCKET:
        *kind = AIO_HANDLE_FD;
        return handle < 0 || handle > INT32_MAX ? -EBADF : 0;
    case AIO_HANDLE_OBJECT:
        return -ENOTSUP;
    }
    return -EINVAL;
}
