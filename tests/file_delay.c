/*
 * See file_delay.h. What is replaced is not the function but the pointer by which a program calls into a DLL: each
 * __wrap___imp_ variable is what the linker puts in the place of that.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/file_delay.h"

#include "core/context.h"

typedef BOOL(WINAPI Read)(HANDLE, void *, DWORD, DWORD *, OVERLAPPED *);
typedef BOOL(WINAPI Write)(HANDLE, const void *, DWORD, DWORD *, OVERLAPPED *);
typedef BOOL(WINAPI List)(HANDLE, FILE_SEGMENT_ELEMENT *, DWORD, DWORD *, OVERLAPPED *);
typedef BOOL(WINAPI Cancel)(HANDLE, OVERLAPPED *);

extern Read *__real___imp_ReadFile;
extern Write *__real___imp_WriteFile;
extern List *__real___imp_ReadFileScatter;
extern List *__real___imp_WriteFileGather;
extern Cancel *__real___imp_CancelIoEx;

static Delay *current;

void delay_start(Delay *delay, AioContext *ctx, AioFile *file, FixtureFile *name, DelayWay way)
{
    memset(delay, 0, sizeof(*delay));
    delay->name = name;
    delay->file = (HANDLE)aio_file_handle(file);
    delay->port = aio__poller_port_of(ctx->poller)->handle;
    delay->way = way;
    current = delay;
}

void delay_over(void)
{
    current = NULL;
}

/* Move bytes of one stretch of memory; how many there were. */
static int64_t move_part(const Delay *delay, bool write, void *base, size_t size, int64_t offset)
{
    if (write) {
        fixture_file_store(delay->name, base, size, offset);
        return (int64_t)size;
    }
    return fixture_file_load(delay->name, base, size, offset);
}

static DWORD move(const Delay *delay, const DelayCall *call)
{
    enum { PAGE = 4096 };
    DWORD size = delay->at_most && delay->at_most < call->size ? delay->at_most : call->size;
    int64_t offset =
        (int64_t)((uint64_t)call->overlapped->OffsetHigh << 32 | call->overlapped->Offset);
    if (!call->pages) {
        return (DWORD)move_part(delay, call->write, call->buffer, size, offset);
    }
    DWORD moved = 0;
    for (DWORD i = 0; i * PAGE < size; i++) {
        void *page = (void *)(uintptr_t)call->pages[i].Alignment;
        moved += (DWORD)move_part(delay, call->write, page, PAGE, offset + (int64_t)i * PAGE);
    }
    return moved;
}

static void post(Delay *delay, DelayCall *call, LONG status, DWORD bytes)
{
    assert_false(call->ended);
    call->ended = true;
    call->overlapped->Internal = (ULONG_PTR)(ULONG)status;
    call->overlapped->InternalHigh = bytes;
    assert_true(PostQueuedCompletionStatus(delay->port, bytes, 0, call->overlapped));
}

void delay_end(Delay *delay, unsigned n)
{
    assert_true(n < delay->held_count);
    DWORD bytes = move(delay, &delay->held[n]);
    post(delay, &delay->held[n], bytes ? 0 : DELAY_EOF, bytes);
}

void delay_end_with(Delay *delay, unsigned n, LONG status)
{
    assert_true(n < delay->held_count);
    post(delay, &delay->held[n], status, 0);
}

/* Whether it is one for the plan, and not the system's. */
static bool is_planned(HANDLE file, const OVERLAPPED *overlapped)
{
    if (!current || file != current->file) {
        return false;
    }
    if (overlapped->hEvent) {
        atomic_fetch_add(&current->pooled, 1);
        return false;
    }
    current->calls++;
    return current->way != DELAY_PASS;
}

static BOOL answer(DelayCall call)
{
    Delay *delay = current;
    call.overlapped->Internal = 0x103; /* pending */
    if (delay->way == DELAY_FAIL) {
        SetLastError(delay->error);
        return FALSE;
    }
    if (delay->way == DELAY_TRUE) {
        post(delay, &call, 0, move(delay, &call));
        return TRUE;
    }
    if (delay->way == DELAY_WARN) {
        post(delay, &call, DELAY_MORE_DATA, move(delay, &call));
        SetLastError(ERROR_MORE_DATA);
        return FALSE;
    }
    if (delay->held_count == DELAY_CALLS) {
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
        return FALSE;
    }
    delay->held[delay->held_count++] = call;
    SetLastError(ERROR_IO_PENDING);
    return FALSE;
}

static BOOL WINAPI read_file(HANDLE file, void *buffer, DWORD size, DWORD *n, OVERLAPPED *at)
{
    return is_planned(file, at)
               ? answer((DelayCall){.overlapped = at, .buffer = buffer, .size = size})
               : __real___imp_ReadFile(file, buffer, size, n, at);
}

static BOOL WINAPI write_file(HANDLE file, const void *data, DWORD size, DWORD *n, OVERLAPPED *at)
{
    void *buffer = (void *)(uintptr_t)data;
    return is_planned(file, at)
               ? answer(
                     (DelayCall){.overlapped = at, .buffer = buffer, .size = size, .write = true})
               : __real___imp_WriteFile(file, data, size, n, at);
}

static bool is_planned_list(HANDLE file, const OVERLAPPED *overlapped)
{
    if (current && file == current->file) {
        current->lists++;
    }
    return is_planned(file, overlapped);
}

static BOOL WINAPI scatter(HANDLE file, FILE_SEGMENT_ELEMENT *pages, DWORD size, DWORD *n,
                           OVERLAPPED *at)
{
    return is_planned_list(file, at)
               ? answer((DelayCall){.overlapped = at, .pages = pages, .size = size})
               : __real___imp_ReadFileScatter(file, pages, size, n, at);
}

static BOOL WINAPI gather(HANDLE file, FILE_SEGMENT_ELEMENT *pages, DWORD size, DWORD *n,
                          OVERLAPPED *at)
{
    return is_planned_list(file, at)
               ? answer((DelayCall){.overlapped = at, .pages = pages, .size = size, .write = true})
               : __real___imp_WriteFileGather(file, pages, size, n, at);
}

static DelayCall *held_call(Delay *delay, const OVERLAPPED *overlapped)
{
    for (unsigned i = 0; i < delay->held_count; i++) {
        if (delay->held[i].overlapped == overlapped && !delay->held[i].ended) {
            return &delay->held[i];
        }
    }
    return NULL;
}

static BOOL WINAPI cancel(HANDLE file, OVERLAPPED *overlapped)
{
    DelayCall *call = current ? held_call(current, overlapped) : NULL;
    if (!current || file != current->file || current->way == DELAY_PASS) {
        return __real___imp_CancelIoEx(file, overlapped);
    }
    current->cancels++;
    if (!call || current->on_cancel == DELAY_CANCEL_NOT_FOUND) {
        SetLastError(ERROR_NOT_FOUND);
        return FALSE;
    }
    if (current->on_cancel == DELAY_CANCEL) {
        post(current, call, DELAY_CANCELLED, 0);
    }
    return TRUE;
}

extern Read *__wrap___imp_ReadFile;
extern Write *__wrap___imp_WriteFile;
extern List *__wrap___imp_ReadFileScatter;
extern List *__wrap___imp_WriteFileGather;
extern Cancel *__wrap___imp_CancelIoEx;

Read *__wrap___imp_ReadFile = read_file;
Write *__wrap___imp_WriteFile = write_file;
List *__wrap___imp_ReadFileScatter = scatter;
List *__wrap___imp_WriteFileGather = gather;
Cancel *__wrap___imp_CancelIoEx = cancel;
