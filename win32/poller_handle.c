/*
 * The poller of event handles: WaitForMultipleObjects(), which takes 64 of them.
 *
 * One wait sees, in this order: up to AIO_DIRECT_MAX handles of users; the event of all sockets (socket_set.c); the event by
 * which the thread pool tells about the handles beyond (pool_wait.c); and, for a short time-out, a timer of high resolution. All
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
#include "win32/pool_wait.h"
#include "win32/socket_set.h"
#include "win32/time.h"

#define NONE AIO_DIRECT_MAX /* no index */

/* Between two looks while a socket waits to be written to: see socket_set.c. */
#define STALLED_NS 20000000

/* Shorter than this, the tick of the system's clock would be felt. */
#define SHORT_NS 32000000

#ifndef CREATE_WAITABLE_TIMER_HIGH_RESOLUTION
#define CREATE_WAITABLE_TIMER_HIGH_RESOLUTION 2
#endif

extern const AioPollerOps aio__poller_handle;

typedef struct HandlePoller {
    AioPoller poller;
    AioDirectSet direct;
    AioSocketSet sockets;
    AioPoolWaits beyond;
    HANDLE fired; /* owned; auto-reset: one of `beyond` has fired */
    HANDLE timer; /* owned, or NULL where the system has none of high resolution */
    AioList
        lost; /* linked by own_node: to be reported by the next wait, as FAILED or as left ready */
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
    WSADATA data;
    int error = -ENOMEM;
    HandlePoller *self = aio__calloc(1, sizeof(*self));
    if (!self) {
        return error;
    }
    int status = WSAStartup(MAKEWORD(2, 2), &data); /* counted by the system */
    if (status != 0) {
        error = aio__win32_error((DWORD)status);
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
    aio__pool_waits_init(&self->beyond, set_fired, self->fired);
    self->timer = CreateWaitableTimerExW(NULL, NULL, CREATE_WAITABLE_TIMER_HIGH_RESOLUTION,
                                         TIMER_MODIFY_STATE | SYNCHRONIZE);
    aio__list_init(&self->lost);
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
    aio__pool_waits_destroy(&self->beyond);
    if (self->timer) {
        CloseHandle(self->timer);
    }
    CloseHandle(self->fired);
    aio__sockets_destroy(&self->sockets);
    WSACleanup();
    aio__free(self);
}

static int add_object(HandlePoller *self, AioWatch *watch)
{
    AioObjectKind kind;
    int error = aio__object_identify(watch->handle, &kind);
    if (error || aio__direct_add(&self->direct, watch, kind)) {
        return error;
    }
    return aio__pool_waits_add(&self->beyond, watch, kind);
}

static void remove_object(HandlePoller *self, AioWatch *watch)
{
    if (!aio__direct_remove(&self->direct, watch)) {
        aio__pool_waits_remove(&self->beyond, watch);
    }
}

static int update_object(HandlePoller *self, AioWatch *watch, unsigned wanted)
{
    int error = 0;
    if (wanted && watch->state == AIO_WATCH_IDLE) {
        error = add_object(self, watch);
        watch->state = error ? AIO_WATCH_IDLE : AIO_WATCH_ARMED;
    } else if (!wanted && watch->state == AIO_WATCH_ARMED) {
        remove_object(self, watch);
        watch->state = AIO_WATCH_IDLE;
    }
    watch->wanted = error ? 0 : wanted;
    return error;
}

static void handle_update(AioPoller *poller, AioWatch *watch, unsigned wanted)
{
    HandlePoller *self = handle_poller(poller);
    aio__node_unlink(&watch->own_node);
    int error = watch->kind == AIO_HANDLE_OBJECT
                    ? update_object(self, watch, wanted)
                    : aio__sockets_update(&self->sockets, watch, wanted);
    watch->error = error;
    if (error) {
        watch->wanted = 0;
    }
    if (error ||
        (wanted && (watch->ready & AIO_WATCH_ONCE) && !aio__node_linked(&watch->ready_node))) {
        aio__list_push(&self->lost, &watch->own_node);
    }
}

static int report_lost(HandlePoller *self, AioList *ready)
{
    AioNode *node;
    int found = 0;
    while ((node = aio__list_pop(&self->lost))) {
        AioWatch *watch = aio__watch_of_own(node);
        unsigned facts = watch->ready;
        if (watch->error) {
            watch->state = AIO_WATCH_IDLE;
            watch->wanted = 0;
            facts = AIO_WATCH_FAILED;
        }
        aio__watch_set_ready(watch, facts, ready);
        found++;
    }
    return found;
}

/* What can be seen without asking for each handle: sockets, and what the pool told. */
static int look(HandlePoller *self, AioList *ready)
{
    int found = aio__sockets_look(&self->sockets, ready, &self->lost);
    if (found < 0) {
        return found;
    }
    found += aio__pool_waits_take(&self->beyond, ready);
    return found + report_lost(self, ready);
}

/* One call for all. Returns the index of the direct handle that it told of, NONE, or -EBADF. */
static int sleep_once(HandlePoller *self, int64_t timeout_ns)
{
    HANDLE handles[MAXIMUM_WAIT_OBJECTS];
    DWORD n = aio__direct_handles(&self->direct, handles);
    handles[n++] = self->sockets.event;
    handles[n++] = self->fired;
    DWORD timeout_ms = aio__timeout_ms(timeout_ns);
    if (self->timer && timeout_ns > 0 && timeout_ns < SHORT_NS) {
        LARGE_INTEGER relative = {.QuadPart = -((timeout_ns + 99) / 100)};
        if (SetWaitableTimer(self->timer, &relative, 0, NULL, NULL, FALSE)) {
            handles[n++] = self->timer;
            timeout_ms = INFINITE;
        }
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
    int64_t left = deadline == INT64_MAX ? -1 : deadline - aio__monotonic_ns();
    if (left < 0 && deadline != INT64_MAX) {
        left = 0;
    }
    return self->sockets.stalled && (left < 0 || left > STALLED_NS) ? STALLED_NS : left;
}

/*
 * One look, and a sleep where that finds nothing. The pool is told to wait after the handles that it is for were looked at: what it
 * takes is told later. Its share of a busy loop is one look at some of its handles each time.
 */
static int wait_once(HandlePoller *self, int64_t deadline, AioList *ready)
{
    int found = look(self, ready);
    int64_t left = found ? 0 : sleep_ns(self, deadline);
    if (found < 0) {
        return found;
    }
    if (left != 0) {
        aio__pool_waits_arm(&self->beyond);
    }
    int direct = left ? wait_for_any(self, left, ready) : aio__direct_look(&self->direct, ready);
    if (direct < 0 || (left && direct == 0)) {
        return direct;
    }
    found += direct;
    int pool = aio__pool_waits_probe(&self->beyond, found == 0, ready);
    if (deadline != 0) {
        aio__pool_waits_arm(&self->beyond);
    }
    return pool < 0 ? pool : found + pool;
}

static int handle_wait(AioPoller *poller, int64_t timeout_ns, AioList *ready)
{
    HandlePoller *self = handle_poller(poller);
    int64_t deadline = timeout_ns == 0 ? 0 : aio__deadline(timeout_ns);
    for (;;) {
        int found = wait_once(self, deadline, ready);
        if (found == -EBADF) {
            aio__direct_drop_bad(&self->direct, ready, &self->lost);
            aio__pool_waits_drop_bad(&self->beyond, ready, &self->lost);
            found = report_lost(self, ready);
            if (found == 0) {
                return -EBADF; /* it was none of ours: there is nothing to be done about it */
            }
        }
        /* A sleep that ended for nothing, or early, is gone on with. */
        if (found != 0 || timeout_ns == 0 || aio__monotonic_ns() >= deadline) {
            return found;
        }
    }
}

static bool handle_flush(AioPoller *poller)
{
    HandlePoller *self = handle_poller(poller);
    aio__pool_waits_arm(&self->beyond);
    return !aio__list_empty(&self->lost);
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
