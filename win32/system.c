/*
 * The remaining small questions to Windows: names of threads, the environment, and which handles can be watched.
 *
 * A mutex can't: a wait makes it the waiting thread's own, which nobody who registers it could mean.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdlib.h>
#include <wchar.h>

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

void aio__thread_set_name(const char *name)
{
    typedef HRESULT WINAPI SetDescription(HANDLE, PCWSTR);
    /* Windows 10 1607 and later. By way of a union, since the pointer of another type is what there is. */
    union {
        FARPROC found;
        SetDescription *call;
    } set = {.found = GetProcAddress(GetModuleHandleW(L"kernel32.dll"), "SetThreadDescription")};
    wchar_t wide[64];
    size_t i = 0;
    for (; name[i] && i < sizeof(wide) / sizeof(wide[0]) - 1; i++) {
        wide[i] = (wchar_t)(unsigned char)name[i];
    }
    wide[i] = L'\0';
    if (set.found) {
        set.call(GetCurrentThread(), wide);
    }
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
