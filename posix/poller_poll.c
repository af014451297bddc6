/*
 * The poll(2) poller: the one that every POSIX system has, and the fastest for a few busy descriptors.
 *
 * Each wait reports all that is ready, beginning at another place than the one before, so that no
 * descriptor is always served first.
 * A descriptor that was closed under the poller (POLLNVAL) leaves the set and is reported once, as
 * FAILED; poll(2) would return at once for ever otherwise.
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>

#include "core/alloc.h"
#include "core/poller.h"
#include "posix/poll_set.h"

extern const AioPollerOps aio__poller_poll;

typedef struct PollPoller {
    AioPoller poller;
    AioPollSet set;
    size_t first; /* where the next report begins */
    AioList lost; /* linked by own_node: could not be added, to be reported by the next wait */
} PollPoller;

static PollPoller *poll_poller(AioPoller *poller)
{
    return (PollPoller *)(void *)poller;
}

static int poll_open(AioPoller **poller)
{
    PollPoller *self = aio__calloc(1, sizeof(*self));
    if (!self) {
        return -ENOMEM;
    }
    self->poller.ops = &aio__poller_poll;
    aio__list_init(&self->lost);
    *poller = &self->poller;
    return 0;
}

static void poll_close(AioPoller *poller)
{
    PollPoller *self = poll_poller(poller);
    aio__poll_set_free(&self->set);
    aio__free(self);
}

static short events_of(unsigned wanted)
{
    short events = 0;
    events |= wanted & AIO_WATCH_READ ? POLLIN : 0;
    events |= wanted & AIO_WATCH_WRITE ? POLLOUT : 0;
    return events;
}

static unsigned ready_of(short events)
{
    unsigned ready = 0;
    ready |= events & POLLIN ? AIO_WATCH_READ : 0;
    ready |= events & POLLOUT ? AIO_WATCH_WRITE : 0;
    ready |= events & POLLHUP ? AIO_WATCH_HUP : 0;
    ready |= events & POLLERR ? AIO_WATCH_ERROR : 0;
    return ready;
}

static void poll_update(AioPoller *poller, AioWatch *watch, unsigned wanted)
{
    PollPoller *self = poll_poller(poller);
    aio__node_unlink(&watch->own_node);
    if (!wanted) {
        if (watch->state == AIO_WATCH_ARMED) {
            aio__poll_set_remove(&self->set, watch);
        }
        watch->wanted = 0;
        return;
    }
    watch->wanted = wanted;
    if (watch->state == AIO_WATCH_IDLE && aio__poll_set_add(&self->set, watch) < 0) {
        watch->error = -ENOMEM;
        aio__list_push(&self->lost, &watch->own_node);
        return;
    }
    aio__poll_set_events(&self->set, watch, events_of(wanted));
}

static int report_lost(PollPoller *self, AioList *ready)
{
    AioNode *node;
    int found = 0;
    while ((node = aio__list_pop(&self->lost))) {
        AioWatch *watch = aio__watch_of_own(node);
        watch->wanted = 0;
        aio__watch_set_ready(watch, AIO_WATCH_FAILED, ready);
        found++;
    }
    return found;
}

/* Append the watches in [from, to) that have something to report; those that were closed are put aside. */
static void report(PollPoller *self, size_t from, size_t to, AioList *ready)
{
    for (size_t i = from; i < to; i++) {
        short events = self->set.fds[i].revents;
        if (events & POLLNVAL) {
            self->set.watches[i]->error = -EBADF;
            aio__list_push(&self->lost, &self->set.watches[i]->own_node);
        } else if (events) {
            aio__watch_set_ready(self->set.watches[i], ready_of(events), ready);
        }
    }
}

static int poll_wait(AioPoller *poller, int64_t timeout_ns, AioList *ready)
{
    PollPoller *self = poll_poller(poller);
    int lost = report_lost(self, ready);
    timeout_ns = lost ? 0 : timeout_ns;
    int found = aio__poll_set_wait(&self->set, timeout_ns);
    if (found <= 0) {
        return lost ? lost : found;
    }
    size_t count = self->set.count;
    size_t first = count ? self->first++ % count : 0;
    report(self, first, count, ready);
    report(self, 0, first, ready);
    for (AioNode *node = aio__list_first(&self->lost); node;
         node = aio__list_next(&self->lost, node)) {
        aio__poll_set_remove(&self->set, aio__watch_of_own(node));
    }
    report_lost(self, ready);
    return lost + found;
}

static bool poll_flush(AioPoller *poller)
{
    return !aio__list_empty(&poll_poller(poller)->lost);
}

const AioPollerOps aio__poller_poll = {
    .name = "poll",
    .flags = 0,
    .open = poll_open,
    .close = poll_close,
    .update = poll_update,
    .wait = poll_wait,
    .flush = poll_flush,
};
