/*
 * The poll(2) poller: the one that every POSIX system has, and the fastest for a few busy descriptors.
 *
 * One array of pollfd is kept between waits; a watch knows its place in it, and the last entry fills the place of
 * one that leaves. Each wait reports all that is ready, beginning at another place than the one before, so that no
 * descriptor is always served first.
 * A descriptor that was closed under the poller (POLLNVAL) leaves the array and is reported once, as
 * FAILED; poll(2) would return at once for ever otherwise.
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/resource.h>

#include "core/alloc.h"
#include "core/poller.h"
#include "posix/wait.h"

#define PERIOD_NS 5000000 /* between two looks where poll(2) can't wait for all at once */

extern const AioPollerOps aio__poller_poll;

typedef struct PollPoller {
    AioPoller poller;
    struct pollfd *fds; /* owned; parallel to `watches` */
    AioWatch **watches; /* owned array of borrowed watches; `own` is a watch's index in it */
    size_t count;
    size_t capacity;
    size_t first; /* where the next report begins */
    AioList lost; /* linked by own_node: could not be added, to be reported by the next wait */
} PollPoller;

static PollPoller *poll_poller(AioPoller *poller)
{
    return (PollPoller *)(void *)poller;
}

static AioWatch *watch_of_own(AioNode *node)
{
    return AIO_CONTAINER_OF(node, AioWatch, own_node);
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
    aio__free(self->fds);
    aio__free(self->watches);
    aio__free(self);
}

static int reserve(PollPoller *self)
{
    if (self->count < self->capacity) {
        return 0;
    }
    size_t capacity = self->capacity ? self->capacity * 2 : 16;
    struct pollfd *fds = aio__realloc(self->fds, capacity * sizeof(*fds));
    if (!fds) {
        return -ENOMEM;
    }
    self->fds = fds;
    AioWatch **watches = aio__realloc(self->watches, capacity * sizeof(AioWatch *));
    if (!watches) {
        return -ENOMEM;
    }
    self->watches = watches;
    self->capacity = capacity;
    return 0;
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

static void drop(PollPoller *self, AioWatch *watch)
{
    size_t place = (size_t)watch->own;
    size_t last = --self->count;
    self->fds[place] = self->fds[last];
    self->watches[place] = self->watches[last];
    self->watches[place]->own = place;
    watch->state = AIO_WATCH_IDLE;
    watch->wanted = 0;
}

static void poll_update(AioPoller *poller, AioWatch *watch, unsigned wanted)
{
    PollPoller *self = poll_poller(poller);
    aio__node_unlink(&watch->own_node);
    if (!wanted) {
        if (watch->state == AIO_WATCH_ARMED) {
            drop(self, watch);
        }
        watch->wanted = 0;
        return;
    }
    watch->wanted = wanted;
    if (watch->state == AIO_WATCH_IDLE) {
        if (reserve(self) < 0) {
            watch->error = -ENOMEM;
            aio__list_push(&self->lost, &watch->own_node);
            return;
        }
        watch->own = self->count++;
        self->watches[watch->own] = watch;
        self->fds[watch->own].fd = (int)watch->handle;
        watch->state = AIO_WATCH_ARMED;
    }
    self->fds[watch->own].events = events_of(wanted);
    self->fds[watch->own].revents = 0;
}

static int report_lost(PollPoller *self, AioList *ready)
{
    AioNode *node;
    int found = 0;
    while ((node = aio__list_pop(&self->lost))) {
        AioWatch *watch = watch_of_own(node);
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
        short events = self->fds[i].revents;
        if (events & POLLNVAL) {
            self->watches[i]->error = -EBADF;
            aio__list_push(&self->lost, &self->watches[i]->own_node);
        } else if (events) {
            aio__watch_set_ready(self->watches[i], ready_of(events), ready);
        }
    }
}

/*
 * poll(2) refuses more descriptors than the process may have open, also where they were opened before the limit was
 * lowered. Then as many as it takes are looked at in turn, every now and then.
 */
static int wait_in_parts(PollPoller *self, int64_t timeout_ns)
{
    struct rlimit limit;
    int found = 0;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == 0) {
        return -EINVAL;
    }
    for (size_t i = 0; i < self->count; i += (size_t)limit.rlim_cur) {
        size_t left = self->count - i;
        size_t part = left < limit.rlim_cur ? left : (size_t)limit.rlim_cur;
        int n = aio__posix_wait(self->fds + i, (nfds_t)part, 0);
        if (n < 0) {
            return n;
        }
        found += n;
    }
    if (found > 0 || timeout_ns == 0) {
        return found;
    }
    bool cut = timeout_ns < 0 || timeout_ns > PERIOD_NS;
    int n = aio__posix_wait(NULL, 0, cut ? PERIOD_NS : timeout_ns);
    return n == 0 && cut ? -EINTR : n;
}

static int poll_wait(AioPoller *poller, int64_t timeout_ns, AioList *ready)
{
    PollPoller *self = poll_poller(poller);
    int lost = report_lost(self, ready);
    timeout_ns = lost ? 0 : timeout_ns;
    int found = aio__posix_wait(self->fds, (nfds_t)self->count, timeout_ns);
    if (found == -EINVAL) {
        found = wait_in_parts(self, timeout_ns);
    }
    if (found <= 0) {
        return lost ? lost : found;
    }
    size_t first = self->count ? self->first++ % self->count : 0;
    report(self, first, self->count, ready);
    report(self, 0, first, ready);
    for (AioNode *node = aio__list_first(&self->lost); node;
         node = aio__list_next(&self->lost, node)) {
        drop(self, watch_of_own(node));
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
