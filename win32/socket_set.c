/*
 * Sockets, any number of them on one event.
 *
 * WSAEventSelect() only tells that something new has happened, to one of them; what is the case tells WSAPoll(), which is
 * asked before each sleep. Together they are level-triggered: an event that fires for nothing costs one look, and
 * what a handler leaves undone is found by the next look.
 *
 * A gap of the system: a socket whose buffer was filled by a send that took just that much, or a part, gives no event when there
 * is room again. While one waits for that (`stalled`), the poller does not sleep long.
 *
 * The association makes a socket non-blocking; it is undone on removal, that mode is not.
 *
 * SPDX-License-Identifier: MIT
 */
#include "win32/socket_set.h"

#include <errno.h>

#include "core/alloc.h"

int aio__sockets_init(AioSocketSet *set)
{
    *set = (AioSocketSet){.event = CreateEventW(NULL, FALSE, FALSE, NULL)};
    return set->event ? 0 : aio__last_error();
}

void aio__sockets_destroy(AioSocketSet *set)
{
    for (size_t i = 0; i < set->count; i++) {
        WSAEventSelect(set->fds[i].fd, NULL, 0);
    }
    aio__free(set->fds);
    aio__free(set->watches);
    CloseHandle(set->event);
}

static int reserve(AioSocketSet *set)
{
    if (set->count < set->capacity) {
        return 0;
    }
    size_t capacity = set->capacity ? set->capacity * 2 : 16;
    WSAPOLLFD *fds = aio__realloc(set->fds, capacity * sizeof(*fds));
    if (!fds) {
        return -ENOMEM;
    }
    set->fds = fds;
    AioWatch **watches = aio__realloc(set->watches, capacity * sizeof(AioWatch *));
    if (!watches) {
        return -ENOMEM;
    }
    set->watches = watches;
    set->capacity = capacity;
    return 0;
}

static void drop(AioSocketSet *set, AioWatch *watch)
{
    size_t place = (size_t)watch->own;
    size_t last = --set->count;
    set->fds[place] = set->fds[last];
    set->watches[place] = set->watches[last];
    set->watches[place]->own = place;
    watch->state = AIO_WATCH_IDLE;
    watch->wanted = 0;
}

static int associate(AioSocketSet *set, AioWatch *watch, unsigned wanted)
{
    long events = FD_CLOSE;
    events |= wanted & AIO_WATCH_READ ? FD_READ | FD_ACCEPT : 0;
    events |= wanted & AIO_WATCH_WRITE ? FD_WRITE | FD_CONNECT : 0;
    if (WSAEventSelect((SOCKET)watch->handle, set->event, events) != 0) {
        int error = aio__win32_error((DWORD)WSAGetLastError());
        return error == -ENOTSOCK ? aio__no_socket((HANDLE)watch->handle) : error;
    }
    return 0;
}

int aio__sockets_update(AioSocketSet *set, AioWatch *watch, unsigned wanted)
{
    if (!wanted) {
        if (watch->state == AIO_WATCH_ARMED) {
            WSAEventSelect((SOCKET)watch->handle, NULL, 0);
            drop(set, watch);
        }
        return 0;
    }
    int error = watch->state == AIO_WATCH_IDLE ? reserve(set) : 0;
    if (!error) {
        error = associate(set, watch, wanted);
    }
    if (error) {
        if (watch->state == AIO_WATCH_ARMED) {
            drop(set, watch);
        }
        return error;
    }
    if (watch->state == AIO_WATCH_IDLE) {
        watch->own = set->count++;
        set->watches[watch->own] = watch;
        set->fds[watch->own].fd = (SOCKET)watch->handle;
        watch->state = AIO_WATCH_ARMED;
    }
    watch->wanted = wanted;
    WSAPOLLFD *fd = &set->fds[watch->own];
    fd->events = 0;
    fd->events |= wanted & AIO_WATCH_READ ? POLLRDNORM : 0;
    fd->events |= wanted & AIO_WATCH_WRITE ? POLLWRNORM : 0;
    fd->revents = 0;
    return 0;
}

/*
 * A hang-up is for readers: it says that the peer sends no more, which does not keep a writer from writing.
 */
static unsigned ready_of(unsigned events, unsigned wanted)
{
    unsigned ready = 0;
    ready |= events & POLLRDNORM ? AIO_WATCH_READ : 0;
    ready |= events & POLLWRNORM ? AIO_WATCH_WRITE : 0;
    ready |= events & POLLERR ? AIO_WATCH_ERROR : 0;
    ready |= (events & POLLHUP) && (wanted & AIO_WATCH_READ) ? AIO_WATCH_HUP : 0;
    return ready;
}

/*
 * Versions of Windows before 10 2004 never let WSAPoll() tell that a connection was refused; the record of the
 * event does. Of one that waits to be written to.
 */
static unsigned refused(const AioWatch *watch)
{
    WSANETWORKEVENTS events;
    if (WSAEnumNetworkEvents((SOCKET)watch->handle, NULL, &events) != 0) {
        return 0;
    }
    bool failed = (events.lNetworkEvents & FD_CONNECT) && events.iErrorCode[FD_CONNECT_BIT];
    return failed ? AIO_WATCH_ERROR : 0;
}

/* The watches in [from, to) that have something to report. */
static int report(AioSocketSet *set, size_t from, size_t to, AioList *ready, AioList *lost)
{
    int found = 0;
    for (size_t i = from; i < to; i++) {
        AioWatch *watch = set->watches[i];
        unsigned events = (unsigned)(unsigned short)set->fds[i].revents;
        if (events & POLLNVAL) {
            watch->error = aio__no_socket((HANDLE)watch->handle);
            aio__list_push(lost, &watch->own_node);
            continue;
        }
        unsigned facts = ready_of(events, watch->wanted);
        if (!facts && (watch->wanted & AIO_WATCH_WRITE)) {
            facts = refused(watch);
            set->stalled |= !facts;
        }
        if (facts) {
            aio__watch_set_ready(watch, facts, ready);
            found++;
        }
    }
    return found;
}

int aio__sockets_look(AioSocketSet *set, AioList *ready, AioList *lost)
{
    set->stalled = false;
    if (set->count == 0) {
        return 0;
    }
    if (WSAPoll(set->fds, (ULONG)set->count, 0) < 0) {
        return aio__win32_error((DWORD)WSAGetLastError());
    }
    AioList gone; /* apart from what is in `lost` already, which need not be ours */
    aio__list_init(&gone);
    size_t first = set->first++ % set->count;
    int found = report(set, first, set->count, ready, &gone) + report(set, 0, first, ready, &gone);
    AioNode *node;
    while ((node = aio__list_pop(&gone))) {
        drop(set, aio__watch_of_own(node));
        aio__list_push(lost, node);
    }
    return found;
}
