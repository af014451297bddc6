/*
 * The poller of a completion port: one queue for the answers about sockets (afd.c), for what is done on files, and for
 * wake-ups; the other handles are waited for by threads that wake it (waiters.c).
 *
 * A wait asks for what is not asked for yet, looks at what needs no sleep, and takes packets from the queue. Which end a
 * sleep is up to their ops: a packet is enough for it, whether it comes to something ready or not.
 *
 * SPDX-License-Identifier: MIT
 */
#include "win32/poller_port.h"

#include <errno.h>

#include "core/alloc.h"
#include "win32/afd.h"
#include "win32/time.h"
#include "win32/untold.h"
#include "win32/waiters.h"

typedef struct PortPoller {
    AioPoller poller;
    AioPort port;
    AioPortWake woken; /* somebody wants the wait to end */
    AioPortWake look;  /* it has something to look at: the waiters, or the clock */
    AioAfd afd;
    AioWaiters objects;
    AioList untold; /* linked by own_node: see untold.h */
    HANDLE timer;   /* owned, or NULL where the system has none of high resolution */
    /* Owned, NULL without a timer: it ends a short sleep, the time-out of the queue being a coarse one. */
    PTP_WAIT timer_wait;
} PortPoller;

static PortPoller *port_poller(AioPoller *poller)
{
    return (PortPoller *)(void *)poller;
}

static void look_up(void *wake)
{
    aio__port_wake(wake);
}

static void CALLBACK timer_fired(PTP_CALLBACK_INSTANCE instance, void *wake, PTP_WAIT wait,
                                 TP_WAIT_RESULT result)
{
    (void)instance, (void)wait, (void)result;
    aio__port_wake(wake);
}

static void timer_open(PortPoller *self)
{
    self->timer = aio__short_timer();
    if (!self->timer) {
        return;
    }
    self->timer_wait = CreateThreadpoolWait(timer_fired, &self->look, NULL);
    if (!self->timer_wait) {
        CloseHandle(self->timer);
        self->timer = NULL;
    }
}

static void timer_close(PortPoller *self)
{
    if (self->timer) {
        SetThreadpoolWait(self->timer_wait, NULL, NULL);
        WaitForThreadpoolWaitCallbacks(self->timer_wait, TRUE);
        CloseThreadpoolWait(self->timer_wait);
        CloseHandle(self->timer);
    }
}

static int port_open(AioPoller **poller)
{
    int error = -ENOMEM;
    PortPoller *self = aio__calloc(1, sizeof(*self));
    if (!self) {
        return error;
    }
    error = aio__winsock_start();
    if (error) {
        goto no_sockets;
    }
    error = aio__port_open(&self->port);
    if (error) {
        goto no_port;
    }
    aio__list_init(&self->untold);
    error = aio__afd_open(&self->afd, &self->port, &self->untold);
    if (error) {
        goto no_afd;
    }
    aio__port_wake_init(&self->woken, &self->port);
    aio__port_wake_init(&self->look, &self->port);
    aio__waiters_init(&self->objects, look_up, &self->look);
    timer_open(self);
    self->poller.ops = &aio__poller_port;
    *poller = &self->poller;
    return 0;

no_afd:
    aio__port_close(&self->port);
no_port:
    WSACleanup();
no_sockets:
    aio__free(self);
    return error;
}

static void port_close(AioPoller *poller)
{
    PortPoller *self = port_poller(poller);
    timer_close(self);
    aio__waiters_destroy(&self->objects);
    aio__afd_close(&self->afd);
    aio__port_close(&self->port);
    WSACleanup();
    aio__free(self);
}

static void port_update(AioPoller *poller, AioWatch *watch, unsigned wanted)
{
    PortPoller *self = port_poller(poller);
    int error = watch->kind == AIO_HANDLE_OBJECT
                    ? aio__waiters_update(&self->objects, NULL, watch, wanted)
                    : aio__afd_update(&self->afd, watch, wanted);
    aio__untold_update(&self->untold, watch, wanted, error);
}

/* What is there without the queue. Returns how many, or -EBADF. */
static int look(PortPoller *self, AioList *ready)
{
    int fired = aio__waiters_take(&self->objects, ready);
    if (fired < 0) {
        return fired;
    }
    int found = fired + aio__untold_report(&self->untold, ready);
    found += aio__afd_report_reset(&self->afd, ready);
    int more = aio__waiters_probe(&self->objects, found == 0, ready);
    return more < 0 ? more : found + more;
}

/* Behind so many packets that came to nothing there may be others; and what is asked for again is answered at once. */
static bool must_take_more(PortPoller *self, int last)
{
    bool full = last == AIO_PORT_BATCH && self->afd.found == 0;
    return aio__afd_ask_again(&self->afd) || full;
}

/*
 * Take packets. Returns how many watches they are for, or a negative errno value; *told: one was for somebody who wants the wait to
 * end, or who has ended something.
 */
static int take(PortPoller *self, int64_t timeout_ns, AioList *ready, bool *told)
{
    if (self->timer && aio__short_timer_set(self->timer, timeout_ns)) {
        SetThreadpoolWait(self->timer_wait, self->timer, NULL);
    }
    self->afd.ready = ready;
    self->afd.found = 0;
    int last = aio__port_take(&self->port, aio__timeout_ms(timeout_ns));
    int packets = last;
    while (last > 0 && must_take_more(self, last)) {
        last = aio__port_take(&self->port, 0);
        packets = last < 0 ? last : packets + last;
    }
    int unimportant = self->look.seen;
    self->look.seen = false;
    if (packets < 0) {
        return packets;
    }
    *told = packets > unimportant;
    return self->afd.found;
}

/* A call that does not sleep sees what the waiters have seen so far, too. */
static int wait_once(PortPoller *self, int64_t deadline, AioList *ready, bool *told)
{
    if (deadline == 0) {
        aio__waiters_withdraw(&self->objects);
    }
    aio__afd_ask(&self->afd);
    int found = look(self, ready);
    if (found < 0) {
        return found;
    }
    int64_t left = found || deadline == 0 ? 0 : aio__time_left(deadline);
    if (left != 0) {
        aio__waiters_arm(&self->objects);
    }
    int answered = take(self, left, ready, told);
    if (answered < 0) {
        return answered;
    }
    int fired = left == 0 ? 0 : aio__waiters_take(&self->objects, ready);
    if (fired < 0) {
        return fired;
    }
    found += answered + fired;
    return found + aio__untold_report(&self->untold, ready);
}

/* Who is to blame for -EBADF leaves. Returns how many are reported behind `last`. */
static int recover(PortPoller *self, const AioNode *last, AioList *ready)
{
    aio__waiters_drop_bad(&self->objects, ready, &self->untold);
    aio__untold_report(&self->untold, ready);
    return aio__objects_behind(last, ready);
}

static int port_wait(AioPoller *poller, int64_t timeout_ns, AioList *ready)
{
    PortPoller *self = port_poller(poller);
    int64_t deadline = timeout_ns == 0 ? 0 : aio__deadline(timeout_ns);
    const AioNode *last = aio__list_last(ready);
    bool failed = false;
    for (;;) {
        bool told = false;
        int found = wait_once(self, deadline, ready, &told);
        failed = found == -EBADF && !failed;
        if (failed) {
            found = recover(self, last, ready);
            if (found == 0 && !told) {
                continue; /* all are well by now; if not, it is none of ours, and we can do nothing about it */
            }
        }
        /* A sleep that ended early is gone on with. */
        if (found != 0 || told || timeout_ns == 0 || aio__monotonic_ns() >= deadline) {
            return found;
        }
    }
}

static void port_wake(AioPoller *poller)
{
    aio__port_wake(&port_poller(poller)->woken);
}

/* A host waits for the handles itself: nobody else may take a signal. */
static bool port_flush(AioPoller *poller)
{
    PortPoller *self = port_poller(poller);
    bool taken = aio__waiters_withdraw(&self->objects);
    self->port.hosted = true; /* from here on files go another way */
    return taken || !aio__list_empty(&self->untold) || self->port.expected > 0;
}

AioPort *aio__poller_port_of(AioPoller *poller)
{
    return poller->ops == &aio__poller_port ? &port_poller(poller)->port : NULL;
}

const AioPollerOps aio__poller_port = {
    .name = "port",
    .flags = 0,
    .open = port_open,
    .close = port_close,
    .update = port_update,
    .wait = port_wait,
    .wake = port_wake,
    .flush = port_flush,
};
