/*
 * A completion port, and whom its packets are for.
 *
 * Keys are not used: the address that comes with a packet says all. What carries none is dropped. What carries one is
 * taken for an AioPortOp, without proof: users make no call of their own on a bound handle but with an event whose
 * lowest bit is set (aioctx/overlapped.h, aioctx/file.h), which keeps its packet from coming.
 *
 * SPDX-License-Identifier: MIT
 */
#include "win32/port.h"

#include <errno.h>

#include <winternl.h>

#define CUT_SHORT ((NTSTATUS)0x80000005) /* STATUS_BUFFER_OVERFLOW */

static AioPortOp *op_of(OVERLAPPED *overlapped)
{
    return (AioPortOp *)(void *)overlapped;
}

static AioPortWake *wake_of_op(AioPortOp *op)
{
    return (AioPortWake *)(void *)op;
}

int aio__port_open(AioPort *port)
{
    port->handle = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
    return port->handle ? 0 : aio__last_error();
}

void aio__port_close(AioPort *port)
{
    CloseHandle(port->handle);
}

int aio__port_attach(AioPort *port, HANDLE file)
{
    return CreateIoCompletionPort(file, port->handle, 0, 0) ? 0 : aio__last_error();
}

bool aio__port_is_skipped(HANDLE file)
{
    enum { NOTIFICATION = 41 }; /* FileIoCompletionNotificationInformation */
    ULONG flags = 0;
    IO_STATUS_BLOCK io;
    NTSTATUS status = NtQueryInformationFile(file, &io, &flags, sizeof(flags),
                                             (FILE_INFORMATION_CLASS)NOTIFICATION);
    return NT_SUCCESS(status) && (flags & FILE_SKIP_COMPLETION_PORT_ON_SUCCESS);
}

bool aio__port_expects(const AioPortOp *op, DWORD error)
{
    switch (error) {
    case ERROR_SUCCESS:
    case ERROR_IO_PENDING:
    case ERROR_MORE_DATA:
        return true;
    case WSAEMSGSIZE: /* a datagram that was cut; what is too long to be sent never starts */
        return (NTSTATUS)op->overlapped.Internal == CUT_SHORT;
    default:
        return false;
    }
}

static void wake_taken(AioPortOp *op)
{
    AioPortWake *wake = wake_of_op(op);
    wake->seen = true;
    /* Acquire: pairs with aio__port_wake(): what was made visible before a wake-up that was spared is seen after this. */
    atomic_exchange_explicit(&wake->posted, false, memory_order_acquire);
}

void aio__port_wake_init(AioPortWake *wake, AioPort *port)
{
    *wake = (AioPortWake){.op.done = wake_taken, .port = port};
}

void aio__port_wake(AioPortWake *wake)
{
    /* Release: pairs with wake_taken(). */
    if (atomic_exchange_explicit(&wake->posted, true, memory_order_release)) {
        return;
    }
    /* It has no way to fail but for memory of the kernel: that comes back, or nothing works any more. */
    while (!PostQueuedCompletionStatus(wake->port->handle, 0, 0, &wake->op.overlapped) &&
           aio__last_error() == -ENOMEM) {
        SwitchToThread();
    }
}

int64_t aio__port_result(const AioPortOp *op)
{
    DWORD error = RtlNtStatusToDosError((NTSTATUS)op->overlapped.Internal);
    switch (error) {
    case ERROR_SUCCESS:
    case ERROR_MORE_DATA: /* of a message: what there was room for */
        return (int64_t)op->overlapped.InternalHigh;
    case ERROR_HANDLE_EOF:
        return 0;
    default:
        return aio__win32_error(error);
    }
}

int aio__port_take(AioPort *port, DWORD timeout_ms)
{
    OVERLAPPED_ENTRY entries[AIO_PORT_BATCH];
    ULONG count = 0;
    if (!GetQueuedCompletionStatusEx(port->handle, entries, AIO_PORT_BATCH, &count, timeout_ms,
                                     FALSE)) {
        return GetLastError() == WAIT_TIMEOUT ? 0 : aio__last_error();
    }
    for (ULONG i = 0; i < count; i++) {
        if (entries[i].lpOverlapped) {
            AioPortOp *op = op_of(entries[i].lpOverlapped);
            op->done(op);
        }
    }
    return (int)count;
}
