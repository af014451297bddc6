/*
 * The kind of a handle, by the name of its type and, of an event, by the way it resets. Asked when it is
 * registered, and again when the poller takes it in, which may be later and another handle of that number. What can't
 * be found out counts as consumed by a wait: then a signal may be told twice, but never lost.
 *
 * SPDX-License-Identifier: MIT
 */
#include "win32/object.h"

#include <errno.h>
#include <string.h>

#include <winternl.h>

/* In ntdll since its first version; no header has it. */
typedef struct EventFacts {
    int type; /* 0: reset by hand */
    LONG state;
} EventFacts;

NTSYSAPI NTSTATUS NTAPI NtQueryEvent(HANDLE event, int what, void *facts, ULONG size, ULONG *used);

static bool is_named(const UNICODE_STRING *name, const wchar_t *wanted)
{
    size_t size = wcslen(wanted) * sizeof(wchar_t);
    return name->Length == size && memcmp(name->Buffer, wanted, size) == 0;
}

static bool resets_by_hand(HANDLE event)
{
    EventFacts facts;
    return NtQueryEvent(event, 0, &facts, sizeof(facts), NULL) >= 0 && facts.type == 0;
}

int aio__object_identify(AioHandle handle, AioObjectKind *kind)
{
    struct {
        PUBLIC_OBJECT_TYPE_INFORMATION info;
        wchar_t name[64];
    } type;
    memset(&type, 0, sizeof(type));
    if (handle <= 0 || !aio__is_open((HANDLE)handle)) {
        return -EBADF;
    }
    *kind = AIO_OBJECT_CONSUMED;
    if (NtQueryObject((HANDLE)handle, ObjectTypeInformation, &type, sizeof(type), NULL) < 0) {
        return 0;
    }
    const UNICODE_STRING *name = &type.info.TypeName;
    if (is_named(name, L"Mutant")) {
        return -ENOTSUP;
    }
    if (is_named(name, L"Process") || is_named(name, L"Thread") || is_named(name, L"Job") ||
        (is_named(name, L"Event") && resets_by_hand((HANDLE)handle))) {
        *kind = AIO_OBJECT_LASTING;
    }
    return 0;
}

void aio__object_report(const AioObject *object, AioList *ready)
{
    unsigned facts = AIO_WATCH_READ;
    facts |= object->kind == AIO_OBJECT_LASTING ? 0 : AIO_WATCH_ONCE;
    aio__watch_set_ready(object->watch, facts, ready);
}

int aio__objects_probe(const AioObject *const *objects, size_t count, AioList *ready)
{
    const AioObject *looked_at[MAXIMUM_WAIT_OBJECTS];
    HANDLE handles[MAXIMUM_WAIT_OBJECTS];
    DWORD n = 0;
    for (size_t i = 0; i < count; i++) {
        if (!aio__node_linked(&objects[i]->watch->ready_node)) {
            looked_at[n] = objects[i];
            handles[n++] = objects[i]->handle;
        }
    }
    int found = 0;
    /* Each call tells of the first one only: go on behind it. */
    for (DWORD i = 0; i < n; i++) {
        DWORD answer = WaitForMultipleObjects(n - i, handles + i, FALSE, 0);
        if (answer == WAIT_TIMEOUT) {
            break;
        }
        if (answer == WAIT_FAILED) {
            return -EBADF;
        }
        i += answer - WAIT_OBJECT_0;
        aio__object_report(looked_at[i], ready);
        found++;
    }
    return found;
}

int aio__objects_behind(const AioNode *last, const AioList *ready)
{
    int count = 0;
    const AioNode *node = last ? aio__list_next(ready, last) : aio__list_first(ready);
    for (; node; node = aio__list_next(ready, node)) {
        count++;
    }
    return count;
}

int aio__object_blame(const AioObject *object, AioList *ready)
{
    if (aio__node_linked(&object->watch->ready_node)) { /* another signal would be lost on it */
        return aio__is_open(object->handle) ? 0 : -EBADF;
    }
    DWORD answer = WaitForSingleObject(object->handle, 0);
    if (answer == WAIT_FAILED) {
        /* "Invalid" is also what is there, but of another kind. */
        int error = aio__last_error();
        return error == -EBADF && aio__is_open(object->handle) ? -ENOTSUP : error;
    }
    if (answer == WAIT_OBJECT_0) {
        aio__object_report(object, ready);
    }
    return 0;
}
