/*
 * One request to the driver for each socket: "tell when one of these is the case". The answer is a packet of the port, and
 * the request is over with it; it is made again before the next sleep, after the callbacks have run. As the driver answers
 * at once where something is the case already, that makes it level-triggered. No handle of an event is involved, and the socket
 * itself is left as it is.
 *
 * Neither request nor answer can be taken back once the kernel has them: a cancelled request gives a packet, too, and
 * one that was answered meanwhile can't be cancelled. So whoever cancels waits for a packet, of whichever kind.
 *
 * What the driver, or Wine's, does not do: a connection that was reset, and of which that was read, answers no further
 * request. It won't change any more, so that it is not asked for again, only reported, until its handler is changed: that
 * may be for another socket. And requests pile up on one handle of the driver in a list that each cancel searches: a few
 * sockets share one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "win32/afd.h"

#include <errno.h>
#include <string.h>

#include <winternl.h>

#include "core/alloc.h"
#include "win32/object.h"

#define SOCKETS_OF_A_DEVICE 32

/* The driver's interface, which no header has; it has been the same since Windows 2000. */
#define IOCTL_AFD_POLL 0x12024
enum {
    AFD_RECEIVE = 0x001,
    AFD_SEND = 0x004,
    AFD_DISCONNECT = 0x008, /* the peer sends no more */
    AFD_ABORT = 0x010,      /* reset */
    AFD_LOCAL_CLOSE = 0x020,
    AFD_ACCEPT = 0x080,
    AFD_CONNECT_FAIL = 0x100,
};

typedef struct AfdPoll {
    LARGE_INTEGER timeout;
    ULONG count;
    ULONG exclusive; /* ends the polls of the same socket by others */
    HANDLE socket;
    ULONG events;
    NTSTATUS status;
} AfdPoll;

NTSYSAPI NTSTATUS NTAPI NtCancelIoFileEx(HANDLE file, PIO_STATUS_BLOCK request,
                                         PIO_STATUS_BLOCK status);

#ifndef SIO_BASE_HANDLE
#define SIO_BASE_HANDLE 0x48000022
#endif

typedef struct Device {
    HANDLE handle; /* owned */
    unsigned sockets;
    AioNode node; /* linked into afd->devices; those with room come first */
} Device;

/*
 * One socket.
 *
 *             ask                    its packet                        its packet: reset
 *   UNASKED -------> ASKED --------------------------> UNASKED   ASKED -----------------> RESET
 *      |               | removed, or changed                                               | |
 *      |               v               its packet: wanted again                    changed | |
 *      |           CANCELLED -------------------------> UNASKED <--------------------------+ |
 *      | removed       | its packet: removed                                     removed     |
 *      +---------------+-------------------> freed <-----------------------------------------+
 *
 * Also freed, and reported as FAILED: UNASKED, when the request is refused; ASKED, when its packet tells of a failure; RESET,
 * when it is no socket any more.
 *
 * The home thread moves it. While ASKED or CANCELLED, `op` and `poll` are the kernel's.
 */
typedef enum AfdState {
    AFD_UNASKED,
    AFD_ASKED,
    AFD_CANCELLED,
    AFD_RESET,
} AfdState;

typedef struct AfdSocket {
    AioPortOp op; /* first */
    AfdPoll poll; /* what was asked, then the answer */
    AfdState state;
    unsigned repeated; /* the last wait that asked once more for it, since an answer was no good */
    HANDLE base;       /* borrowed: the socket below what providers put around it; NULL: unknown */
    AioWatch *watch;   /* borrowed: it is not IDLE before this is freed */
    AioAfd *afd;       /* borrowed: outlives it */
    Device *device;    /* borrowed: devices go last */
    AioNode node;      /* linked into afd->all */
    AioNode queue;     /* linked into afd->unasked, afd->again or afd->reset */
} AfdSocket;

static AfdSocket *socket_of_op(AioPortOp *op)
{
    return (AfdSocket *)(void *)op;
}

static AfdSocket *socket_of_node(AioNode *node)
{
    return AIO_CONTAINER_OF(node, AfdSocket, node);
}

static AfdSocket *socket_of_queue(AioNode *node)
{
    return AIO_CONTAINER_OF(node, AfdSocket, queue);
}

static AfdSocket *socket_of_watch(const AioWatch *watch)
{
    return (AfdSocket *)(uintptr_t)watch->own;
}

static Device *device_of_node(AioNode *node)
{
    return AIO_CONTAINER_OF(node, Device, node);
}

static IO_STATUS_BLOCK *status_of(AfdSocket *self)
{
    /* Its fields are the first two of OVERLAPPED. */
    return (IO_STATUS_BLOCK *)(void *)&self->op.overlapped;
}

static int error_of(NTSTATUS status)
{
    return aio__win32_error(RtlNtStatusToDosError(status));
}

static int open_device(AioAfd *afd)
{
    static wchar_t path[] =
        L"\\Device\\Afd\\aioctx"; /* what follows the device's name is for us to choose */
    UNICODE_STRING name = {
        .Length = sizeof(path) - sizeof(wchar_t), .MaximumLength = sizeof(path), .Buffer = path};
    OBJECT_ATTRIBUTES attributes = {.Length = sizeof(attributes), .ObjectName = &name};
    IO_STATUS_BLOCK status;
    int error = -ENOMEM;
    Device *device = aio__calloc(1, sizeof(*device));
    if (!device) {
        return error;
    }
    NTSTATUS opened = NtCreateFile(&device->handle, SYNCHRONIZE, &attributes, &status, NULL, 0,
                                   FILE_SHARE_READ | FILE_SHARE_WRITE, FILE_OPEN, 0, NULL, 0);
    if (opened < 0) {
        error = error_of(opened);
        goto no_device;
    }
    error = aio__port_attach(afd->port, device->handle);
    if (error) {
        goto no_port;
    }
    SetFileCompletionNotificationModes(device->handle, FILE_SKIP_SET_EVENT_ON_HANDLE);
    aio__list_push_front(&afd->devices, &device->node);
    return 0;

no_port:
    CloseHandle(device->handle);
no_device:
    aio__free(device);
    return error;
}

/* One with room: the first, where any has. */
static int join_device(AfdSocket *self)
{
    AioAfd *afd = self->afd;
    if (aio__list_empty(&afd->devices) ||
        device_of_node(aio__list_first(&afd->devices))->sockets == SOCKETS_OF_A_DEVICE) {
        int error = open_device(afd);
        if (error) {
            return error;
        }
    }
    self->device = device_of_node(aio__list_first(&afd->devices));
    if (++self->device->sockets == SOCKETS_OF_A_DEVICE) {
        aio__node_unlink(&self->device->node);
        aio__list_push(&afd->devices, &self->device->node);
    }
    return 0;
}

static void leave_device(AfdSocket *self)
{
    self->device->sockets--;
    aio__node_unlink(&self->device->node);
    aio__list_push_front(&self->afd->devices, &self->device->node);
}

static void release(AfdSocket *self)
{
    self->watch->state = AIO_WATCH_IDLE;
    leave_device(self);
    aio__node_unlink(&self->node);
    aio__node_unlink(&self->queue);
    aio__free(self);
}

static void fail(AfdSocket *self, int error)
{
    AioWatch *watch = self->watch;
    AioList *lost = self->afd->lost;
    release(self);
    watch->error = error;
    aio__list_push(lost, &watch->own_node);
}

static void queue(AfdSocket *self, AfdState state, AioList *list)
{
    self->state = state;
    aio__node_unlink(&self->queue);
    aio__list_push(list, &self->queue);
}

static ULONG events_of(unsigned wanted)
{
    ULONG events = AFD_ABORT | AFD_LOCAL_CLOSE | AFD_CONNECT_FAIL;
    events |= wanted & AIO_WATCH_READ ? AFD_RECEIVE | AFD_ACCEPT | AFD_DISCONNECT : 0;
    events |= wanted & AIO_WATCH_WRITE ? AFD_SEND : 0;
    return events;
}

/* A hang-up is for readers: that the peer sends no more does not keep a writer from writing. */
static unsigned facts_of(ULONG events, unsigned wanted)
{
    unsigned facts = 0;
    events &= events_of(wanted);
    facts |= events & (AFD_RECEIVE | AFD_ACCEPT) ? AIO_WATCH_READ : 0;
    facts |= events & AFD_SEND ? AIO_WATCH_WRITE : 0;
    facts |= events & AFD_DISCONNECT ? AIO_WATCH_HUP : 0;
    facts |= events & AFD_ABORT ? AIO_WATCH_HUP | AIO_WATCH_ERROR : 0;
    facts |= events & AFD_CONNECT_FAIL ? AIO_WATCH_ERROR : 0;
    return facts;
}

/*
 * One that tells of one direction only may be older than what happened in the other; one that tells of nothing is of a socket that
 * was closed, or somebody cancelled the request.
 */
static bool is_stale(unsigned facts, unsigned wanted)
{
    const unsigned both = AIO_WATCH_READ | AIO_WATCH_WRITE;
    return !facts || ((wanted & both) == both &&
                      ((facts & both) == AIO_WATCH_READ || (facts & both) == AIO_WATCH_WRITE));
}

/* The answer to a request that nobody cancelled. */
static void answered(AfdSocket *self)
{
    AioAfd *afd = self->afd;
    AioWatch *watch = self->watch;
    NTSTATUS status = (NTSTATUS)self->op.overlapped.Internal;
    /*
     * Cancelled, though not by us: by somebody who asks for the same socket exclusively, say. The end of the thread that
     * asked does not do it, as the device belongs to a port.
     */
    if (status < 0 && error_of(status) != -ECANCELED) {
        fail(self, error_of(status));
        return;
    }
    ULONG events = status >= 0 && self->poll.count > 0 ? self->poll.events : 0;
    unsigned facts = facts_of(events, watch->wanted);
    if (facts) {
        aio__watch_set_ready(watch, facts, afd->ready);
        afd->found++;
    }
    if (events & AFD_LOCAL_CLOSE) {
        self->base = NULL; /* closed; or opened again by now, which the next request finds out */
    }
    if (events & AFD_ABORT) {
        queue(self, AFD_RESET, &afd->reset);
    } else if (is_stale(facts, watch->wanted) && self->repeated != afd->wait) {
        self->repeated = afd->wait;
        queue(self, AFD_UNASKED, &afd->again);
    } else {
        queue(self, AFD_UNASKED, &afd->unasked);
    }
}

static void done(AioPortOp *op)
{
    AfdSocket *self = socket_of_op(op);
    self->afd->in_kernel--;
    if (self->state == AFD_ASKED) {
        answered(self);
    } else if (self->watch->wanted) {
        queue(self, AFD_UNASKED, &self->afd->again);
    } else {
        release(self);
    }
}

/* 0, or a negative errno value where it is no socket. */
static int check_socket(const AfdSocket *self)
{
    SOCKET socket = (SOCKET)self->watch->handle;
    int type, size = sizeof(type);
    return getsockopt(socket, SOL_SOCKET, SO_TYPE, (char *)&type, &size) == 0
               ? 0
               : aio__no_socket((HANDLE)socket);
}

static int look_up_base(AfdSocket *self)
{
    SOCKET given = (SOCKET)self->watch->handle, base = INVALID_SOCKET;
    DWORD size;
    if (WSAIoctl(given, SIO_BASE_HANDLE, NULL, 0, &base, sizeof(base), &size, NULL, NULL) == 0) {
        self->base = (HANDLE)base;
        return 0;
    }
    int error = aio__win32_error((DWORD)WSAGetLastError());
    if (error == -ENOTSOCK) {
        return aio__no_socket((HANDLE)self->watch->handle);
    }
    self->base = (HANDLE)given; /* a provider that does not know the question */
    return 0;
}

static void ask(AfdSocket *self)
{
    int error = self->base ? 0 : look_up_base(self);
    if (error) {
        fail(self, error);
        return;
    }
    self->poll = (AfdPoll){.timeout.QuadPart = INT64_MAX,
                           .count = 1,
                           .socket = self->base,
                           .events = events_of(self->watch->wanted)};
    memset(&self->op.overlapped, 0, sizeof(self->op.overlapped));
    NTSTATUS status = NtDeviceIoControlFile(self->device->handle, NULL, NULL, &self->op.overlapped,
                                            status_of(self), IOCTL_AFD_POLL, &self->poll,
                                            sizeof(self->poll), &self->poll, sizeof(self->poll));
    if (status < 0) { /* then no packet comes */
        error = check_socket(self);
        fail(self, error ? error : error_of(status));
        return;
    }
    self->state = AFD_ASKED;
    self->afd->in_kernel++;
}

void aio__afd_ask(AioAfd *afd)
{
    AioNode *node;
    afd->wait++;
    aio__list_splice(&afd->unasked, &afd->again);
    while ((node = aio__list_pop(&afd->unasked))) {
        ask(socket_of_queue(node));
    }
}

bool aio__afd_ask_again(AioAfd *afd)
{
    AioNode *node;
    bool any = false;
    while ((node = aio__list_pop(&afd->again))) {
        ask(socket_of_queue(node));
        any = true;
    }
    return any;
}

int aio__afd_report_reset(AioAfd *afd, AioList *ready)
{
    AioNode *next;
    int found = 0;
    for (AioNode *node = aio__list_first(&afd->reset); node; node = next) {
        AfdSocket *self = socket_of_queue(node);
        next = aio__list_next(&afd->reset, node);
        int error = check_socket(self);
        if (error) {
            fail(self, error);
            continue;
        }
        unsigned facts = self->watch->wanted & (AIO_WATCH_READ | AIO_WATCH_WRITE);
        aio__watch_set_ready(self->watch, facts | AIO_WATCH_HUP | AIO_WATCH_ERROR, ready);
        found++;
    }
    return found;
}

static int add(AioAfd *afd, AioWatch *watch)
{
    AfdSocket *self = aio__calloc(1, sizeof(*self));
    if (!self) {
        return -ENOMEM;
    }
    self->op.done = done;
    self->watch = watch;
    self->afd = afd;
    int error = join_device(self);
    if (error) {
        aio__free(self);
        return error;
    }
    aio__list_push(&afd->all, &self->node);
    queue(self, AFD_UNASKED, &self->afd->unasked);
    watch->own = (uintptr_t)self;
    return 0;
}

static void cancel(AfdSocket *self)
{
    IO_STATUS_BLOCK status;
    if (self->state == AFD_ASKED) {
        self->state = AFD_CANCELLED;
        NtCancelIoFileEx(self->device->handle, status_of(self), &status); /* or it is answered */
    }
}

/*
 * Perhaps it is another socket by now, under the same number: then the request is none of it, and stays unanswered while the
 * old one has a duplicate.
 */
static void change(AfdSocket *self)
{
    self->base = NULL;
    if (self->state == AFD_RESET) {
        queue(self, AFD_UNASKED, &self->afd->unasked);
    }
    cancel(self);
}

int aio__afd_update(AioAfd *afd, AioWatch *watch, unsigned wanted)
{
    int error = 0;
    if (watch->state == AIO_WATCH_IDLE) {
        error = wanted ? add(afd, watch) : 0;
        watch->state = wanted && !error ? AIO_WATCH_ARMED : AIO_WATCH_IDLE;
    } else if (wanted) {
        change(socket_of_watch(watch));
        watch->state = AIO_WATCH_ARMED;
    } else {
        AfdSocket *self = socket_of_watch(watch);
        cancel(self);
        if (self->state == AFD_CANCELLED) {
            watch->state = AIO_WATCH_CANCELLING;
        } else {
            release(self);
        }
    }
    watch->wanted = error ? 0 : wanted;
    return error;
}

int aio__afd_open(AioAfd *afd, AioPort *port, AioList *lost)
{
    *afd = (AioAfd){.port = port, .lost = lost};
    aio__list_init(&afd->devices);
    aio__list_init(&afd->all);
    aio__list_init(&afd->unasked);
    aio__list_init(&afd->again);
    aio__list_init(&afd->reset);
    return open_device(afd);
}

void aio__afd_close(AioAfd *afd)
{
    AioNode *node, *next;
    for (node = aio__list_first(&afd->all); node; node = next) {
        AfdSocket *self = socket_of_node(node);
        next = aio__list_next(&afd->all, node);
        aio__afd_update(afd, self->watch, 0);
    }
    while (afd->in_kernel > 0 && aio__port_take(afd->port, INFINITE) >= 0) {
        continue;
    }
    while ((node = aio__list_pop(&afd->devices))) {
        CloseHandle(device_of_node(node)->handle);
        aio__free(device_of_node(node));
    }
}
