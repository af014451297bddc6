/*
 * Threads, and mutexes as slim reader/writer locks of which only the writer's side is used. Condition variables are
 * in cond.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>
#include <errno.h>
#include <process.h>

#include "core/alloc.h"
#include "core/platform.h"
#include "win32/win32.h"

_Static_assert(sizeof(SRWLOCK) <= sizeof(AioMutex), "AioMutex is too small");
_Static_assert(sizeof(uintptr_t) <= sizeof(AioOsThread), "AioOsThread is too small");

typedef struct Start {
    const char *name; /* borrowed: a literal */
    void (*start)(void *);
    void *arg;
} Start;

/* For debuggers. */
static void set_name(const char *name)
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

static unsigned __stdcall run_thread(void *opaque)
{
    Start start = *(Start *)opaque;
    aio__free(opaque);
    set_name(start.name);
    start.start(start.arg);
    return 0;
}

int aio__thread_start(AioOsThread *thread, const char *name, void (*start)(void *), void *arg)
{
    Start *data = aio__malloc(sizeof(*data));
    if (!data) {
        return -ENOMEM;
    }
    *data = (Start){.name = name, .start = start, .arg = arg};
    uintptr_t handle = _beginthreadex(NULL, 0, run_thread, data, 0, NULL);
    if (!handle) {
        aio__free(data);
        return -EAGAIN;
    }
    thread->storage[0] = handle;
    return 0;
}

void aio__thread_join(AioOsThread *thread)
{
    HANDLE handle = (HANDLE)(uintptr_t)thread->storage[0];
    WaitForSingleObject(handle, INFINITE);
    CloseHandle(handle);
}

void aio__thread_yield(void)
{
    SwitchToThread();
}

static SRWLOCK *os_mutex(AioMutex *mutex)
{
    return (SRWLOCK *)(void *)mutex->storage;
}

void aio__mutex_init(AioMutex *mutex)
{
    InitializeSRWLock(os_mutex(mutex));
}

void aio__mutex_destroy(AioMutex *mutex)
{
    (void)mutex; /* it holds nothing */
}

void aio__mutex_lock(AioMutex *mutex)
{
    AcquireSRWLockExclusive(os_mutex(mutex));
}

bool aio__mutex_trylock(AioMutex *mutex)
{
    return TryAcquireSRWLockExclusive(os_mutex(mutex));
}

void aio__mutex_unlock(AioMutex *mutex)
{
    ReleaseSRWLockExclusive(os_mutex(mutex));
}
