/*
 * The poller of event handles: WaitForMultipleObjects(), which takes 64 of them.
 *
 * One wait sees, in this order: up to AIO_DIRECT_MAX handles of users; the event of all sockets (socket_set.c); the event by
 * which threads tell that wait for the handles beyond (waiters.c); and, for a short time-out, a timer of high resolution. All
 * that is ready is reported by each wait: the one index that the call returns is only the beginning.
 *
 * A handle that was closed under the poller makes the whole call fail; it is sought out then and reported as
 * FAILED, once.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "core/alloc.h"
#include "core/poller.h"
#include "win32/direct_set.h"
#include "win32/socket_set.h"
#include "win32/time.h"
#include "win32/untold.h"
#include "win32/waiters.h"

#define NONE AIO_DIRECT_MAX /* no index */

/* Between two looks while a socket waits to be written to: see socket_set.c. */
#define STALLED_NS 20000000

extern const AioPollerOps aio__poller_handle;

typedef struct HandlePoller {
    AioPoller poller;
    AioDirectSet direct;
    AioSocketSet sockets;
    AioWaiters beyond;
    HANDLE fired;   /* owned; auto-reset: one of `beyond` has fired */
    HANDLE timer;   /* owned, or NULL where the system has none of high resolution */
    AioList untold; /* linked by own_node: see untold.h */
} HandlePoller;

static HandlePoller *handle_poller(AioPoller *poller)
{
    return (HandlePoller *)(void *)poller;
}

static void set_fired(void *event)
{
    SetEvent(event);
}

static int handle_open(AioPoller **poller)
{
    int error = -ENOMEM;
    HandlePoller *self = aio__calloc(1, sizeof(*self));
    if (!self) {
        return error;
    }
    error = aio__winsock_start();
    if (error) {
        goto no_sockets;
    }
    error = aio__sockets_init(&self->sockets);
    if (error) {
        goto no_set;
    }
    self->fired = CreateEventW(NULL, FALSE, FALSE, NULL);
    if (!self->fired) {
        error = aio__last_error();
        goto no_event;
    }
    aio__waiters_init(&self->beyond, set_fired, self->fired);
    self->timer = aio__short_timer();
    aio__list_init(&self->untold);
    self->poller.ops = &aio__poller_handle;
    *poller = &self->poller;
    return 0;

no_event:
    aio__sockets_destroy(&self->sockets);
no_set:
    WSACleanup();
no_sockets:
    aio__free(self);
    return error;
}

static void handle_close(AioPoller *poller)
{
    HandlePoller *self = handle_poller(poller);
    aio__waiters_destroy(&self->beyond);
    if (self->timer) {
        CloseHandle(self->timer);
    }
    CloseHandle(self->fired);
    aio__sockets_destroy(&self->sockets);
    WSACleanup();
    aio__free(self);
}

static void handle_update(AioPoller *poller, AioWatch *watch, unsigned wanted)
{
    HandlePoller *self = handle_poller(poller);
    int error = watch->kind == AIO_HANDLE_OBJECT
                    ? aio__waiters_update(&self->beyond, &self->direct, watch, wanted)
                    : aio__sockets_update(&self->sockets, watch, wanted);
    aio__untold_update(&self->untold, watch, wanted, error);
}

/* What can be seen without a call for each handle that is waited for directly. */
static int look(HandlePoller *self, AioList *ready)
{
    int sockets = aio__sockets_look(&self->sockets, ready, &self->untold);
    int fired = sockets < 0 ? sockets : aio__waiters_take(&self->beyond, ready);
    if (fired < 0) {
        return fired;
    }
    int found = sockets + fired + aio__untold_report(&self->untold, ready);
    int more = aio__waiters_probe(&self->beyond, found == 0, ready);
    return more < 0 ? more : found + more;
}

/* One call for all. Returns the index of the direct handle that it told of, NONE, or -EBADF. */
static int sleep_once(HandlePoller *self, int64_t timeout_ns)
{
    HANDLE handles[MAXIMUM_WAIT_OBJECTS];
    DWORD n = aio__direct_handles(&self->direct, handles);
    handles[n++] = self->sockets.event;
    handles[n++] = self->fired;
    DWORD timeout_ms = aio__timeout_ms(timeout_ns);
    if (aio__short_timer_set(self->timer, timeout_ns)) {
        handles[n++] = self->timer;
        timeout_ms = INFINITE;
    }
    DWORD answer = WaitForMultipleObjects(n, handles, FALSE, timeout_ms);
    if (answer == WAIT_FAILED) {
        return -EBADF;
    }
    answer -= WAIT_OBJECT_0;
    return answer < self->direct.count ? (int)answer : NONE;
}

/* Sleep until something may be ready. Returns how many of the direct handles are, or -EBADF. */
static int wait_for_any(HandlePoller *self, int64_t timeout_ns, AioList *ready)
{
    int told = sleep_once(self, timeout_ns);
    if (told < 0 || told == NONE) {
        return told < 0 ? told : 0;
    }
    return aio__direct_told(&self->direct, (size_t)told, ready);
}

/* The next sleep may take no longer than this. */
static int64_t sleep_ns(const HandlePoller *self, int64_t deadline)
{
    int64_t left = aio__time_left(deadline);
    return self->sockets.stalled && (left < 0 || left > STALLED_NS) ? STALLED_NS : left;
}

/* One look, and a sleep where that finds nothing. A call that does not sleep sees what the waiters have seen so far, too. */
static int wait_once(HandlePoller *self, int64_t deadline, AioList *ready)
{
    if (deadline == 0) {
        aio__waiters_withdraw(&self->beyond);
    }
    int found = look(self, ready);
    int64_t left = found ? 0 : sleep_ns(self, deadline);
    if (found < 0) {
        return found;
    }
    if (left != 0) {
        aio__waiters_arm(&self->beyond);
    }
    int direct = left ? wait_for_any(self, left, ready) : aio__direct_look(&self->direct, ready);
    return direct < 0 ? direct : found + direct;
}

/* Who is to blame for -EBADF leaves. Returns how many are reported behind `last`. */
static int recover(HandlePoller *self, const AioNode *last, AioList *ready)
{
    aio__direct_drop_bad(&self->direct, ready, &self->untold);
    aio__waiters_drop_bad(&self->beyond, ready, &self->untold);
    aio__untold_report(&self->untold, ready);
    return aio__objects_behind(last, ready);
}

static int handle_wait(AioPoller *poller, int64_t timeout_ns, AioList *ready)
{
    HandlePoller *self = handle_poller(poller);
    int64_t deadline = timeout_ns == 0 ? 0 : aio__deadline(timeout_ns);
    const AioNode *last = aio__list_last(ready);
    bool failed = false;
    for (;;) {
        int found = wait_once(self, deadline, ready);
        failed = found == -EBADF && !failed;
        if (failed) {
            found = recover(self, last, ready);
            if (found == 0) {
                continue; /* all are well by now; if not, it is none of ours, and we can do nothing about it */
            }
        }
        /* A sleep that ended for nothing, or early, is gone on with. */
        if (found != 0 || timeout_ns == 0 || aio__monotonic_ns() >= deadline) {
            return found;
        }
    }
}

/* A host waits for the handles itself: nobody else may take a signal. */
static bool handle_flush(AioPoller *poller)
{
    HandlePoller *self = handle_poller(poller);
    bool taken = aio__waiters_withdraw(&self->beyond);
    return taken || !aio__list_empty(&self->untold);
}

const AioPollerOps aio__poller_handle = {
    .name = "handle",
    .flags = 0,
    .open = handle_open,
    .close = handle_close,
    .update = handle_update,
    .wait = handle_wait,
    .flush = handle_flush,
};
