/*
 * The epoll(7) poller.
 *
 * What the kernel gets wrong, or leaves to us:
 *  - A descriptor that is closed while another one shares its file stays registered and goes on to be reported,
 *    though it can't be removed any more. Events carry a slot and its generation, so a stale one is told from
 *    others; the first one has the set made anew.
 *  - Regular files and some devices are refused (EPERM), since they are always ready. That is how they
 *    are reported, as poll(2) does.
 * More than one batch of events stays in the kernel, which serves its ready list in rotation.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "core/alloc.h"
#include "core/poller.h"
#include "linux/epoll_set.h"
#include "linux/epoll_sleep.h"
#include "linux/slots.h"

#define BATCH 128
#define NAP_NS 10000000

extern const AioPollerOps aio__poller_epoll;

typedef struct EpollPoller {
    AioPoller poller;
    AioEpollSet set;
    AioSlots slots;
    AioList always; /* linked by own_node: the kernel refuses them */
    AioList failed; /* linked by own_node: to be reported by the next wait */
    bool stale;     /* the kernel holds a registration that nobody can remove */
} EpollPoller;

static EpollPoller *epoll_poller(AioPoller *poller)
{
    return (EpollPoller *)(void *)poller;
}

static int epoll_open(AioPoller **poller)
{
    EpollPoller *self = aio__calloc(1, sizeof(*self));
    if (!self) {
        return -ENOMEM;
    }
    int error = aio__epoll_set_open(&self->set);
    if (error) {
        aio__free(self);
        return error;
    }
    self->poller.ops = &aio__poller_epoll;
    aio__list_init(&self->always);
    aio__list_init(&self->failed);
    *poller = &self->poller;
    return 0;
}

static void epoll_close(AioPoller *poller)
{
    EpollPoller *self = epoll_poller(poller);
    aio__epoll_set_close(&self->set);
    aio__free(self->slots.slots);
    aio__free(self);
}

static struct epoll_event event_of(const EpollPoller *self, const AioWatch *watch)
{
    struct epoll_event event = {.data.u64 = aio__slot_tag(&self->slots, watch)};
    event.events |= watch->wanted & AIO_WATCH_READ ? EPOLLIN : 0;
    event.events |= watch->wanted & AIO_WATCH_WRITE ? EPOLLOUT : 0;
    event.events |= watch->wanted & AIO_WATCH_EDGE ? EPOLLET : 0;
    return event;
}

static void fail(EpollPoller *self, AioWatch *watch, int error)
{
    if (watch->state == AIO_WATCH_ARMED) {
        aio__slot_release(&self->slots, watch);
    }
    watch->wanted = 0;
    watch->error = error;
    aio__list_push(&self->failed, &watch->own_node);
}

/* Register a watch that has a slot and that the set does not have. */
static void add(EpollPoller *self, AioWatch *watch)
{
    int error = aio__epoll_set_add(&self->set, (int)watch->handle, event_of(self, watch));
    if (error == -EPERM) {
        aio__slot_of(&self->slots, watch)->state = AIO_SLOT_ALWAYS;
        aio__list_push(&self->always, &watch->own_node);
    } else if (error) {
        fail(self, watch, error);
    }
}

static void modify(EpollPoller *self, AioWatch *watch)
{
    AioSlot *slot = aio__slot_of(&self->slots, watch);
    int error = -ENOENT;
    if (slot->state == AIO_SLOT_KERNEL) {
        error = aio__epoll_set_modify(&self->set, (int)watch->handle, event_of(self, watch));
    }
    if (error == -ENOENT || error == -EPERM) {
        /* Closed, and the number reused, without a removal: what the kernel may still report is void. */
        aio__node_unlink(&watch->own_node);
        slot->state = AIO_SLOT_KERNEL;
        slot->generation++;
        add(self, watch);
    } else if (error) {
        fail(self, watch, error);
    }
}

static void epoll_remove(EpollPoller *self, AioWatch *watch)
{
    if (watch->state == AIO_WATCH_ARMED) {
        if (aio__slot_of(&self->slots, watch)->state == AIO_SLOT_KERNEL) {
            aio__epoll_set_remove(&self->set, (int)watch->handle);
        }
        aio__slot_release(&self->slots, watch);
    }
    aio__node_unlink(&watch->own_node);
    watch->wanted = 0;
}

static void epoll_update(AioPoller *poller, AioWatch *watch, unsigned wanted)
{
    EpollPoller *self = epoll_poller(poller);
    if (!wanted) {
        epoll_remove(self, watch);
        return;
    }
    watch->wanted = wanted;
    if (watch->state == AIO_WATCH_IDLE) {
        aio__node_unlink(&watch->own_node); /* it may have failed before */
        if (aio__slot_take(&self->slots, watch) < 0) {
            fail(self, watch, -ENOMEM);
        } else {
            add(self, watch);
        }
    } else {
        modify(self, watch);
    }
}

/* Leave stale registrations behind. Where the system refuses that, it is tried again at the next wait. */
static void rebuild(EpollPoller *self)
{
    if (aio__epoll_set_renew(&self->set) < 0) {
        return;
    }
    self->stale = false;
    for (uint32_t i = 0; i < self->slots.count; i++) {
        if (self->slots.slots[i].state == AIO_SLOT_KERNEL) {
            add(self, self->slots.slots[i].watch);
        }
    }
}

/* In the place of a sleep in a set that can't be made anew: a stale registration would end that at once. */
static void nap(int64_t timeout_ns)
{
    bool cut = timeout_ns < 0 || timeout_ns > NAP_NS;
    struct timespec time = {.tv_nsec = (long)(cut ? NAP_NS : timeout_ns)};
    nanosleep(&time, NULL);
}

static unsigned ready_of(uint32_t events)
{
    unsigned ready = 0;
    ready |= events & EPOLLIN ? AIO_WATCH_READ : 0;
    ready |= events & EPOLLOUT ? AIO_WATCH_WRITE : 0;
    ready |= events & EPOLLHUP ? AIO_WATCH_HUP : 0;
    ready |= events & EPOLLERR ? AIO_WATCH_ERROR : 0;
    return ready;
}

static int report(EpollPoller *self, const struct epoll_event *events, int count, AioList *ready)
{
    int found = 0;
    for (int i = 0; i < count; i++) {
        AioWatch *watch = aio__slot_watch(&self->slots, events[i].data.u64);
        if (!watch) {
            self->stale = true;
            continue;
        }
        aio__watch_set_ready(watch, ready_of(events[i].events), ready);
        found++;
    }
    return found;
}

/* What needs no kernel: the ones that are always ready, and those that failed. */
static int report_own(EpollPoller *self, AioList *ready)
{
    int found = 0;
    AioNode *node;
    AioNode *next;
    for (node = aio__list_first(&self->always); node; node = next) {
        AioWatch *watch = aio__watch_of_own(node);
        next = aio__list_next(&self->always, node);
        if (fcntl((int)watch->handle, F_GETFD) < 0) {
            fail(self, watch, -errno); /* nobody else would notice that it was closed */
            continue;
        }
        aio__watch_set_ready(watch, watch->wanted & (AIO_WATCH_READ | AIO_WATCH_WRITE), ready);
        found++;
    }
    while ((node = aio__list_pop(&self->failed))) {
        aio__watch_set_ready(aio__watch_of_own(node), AIO_WATCH_FAILED, ready);
        found++;
    }
    return found;
}

static int epoll_wait_ready(AioPoller *poller, int64_t timeout_ns, AioList *ready)
{
    EpollPoller *self = epoll_poller(poller);
    struct epoll_event events[BATCH];
    if (self->stale) {
        rebuild(self);
    }
    int own = report_own(self, ready);
    bool napped = self->stale && !own && timeout_ns != 0;
    if (napped) {
        nap(timeout_ns);
    }
    int count = aio__epoll_sleep(self->set.fd, events, BATCH, own || napped ? 0 : timeout_ns,
                                 &self->set.no_pwait2);
    if (count <= 0) {
        return own ? own : napped ? -EINTR : count;
    }
    int found = own + report(self, events, count, ready);
    return found ? found : -EINTR; /* nothing but stale events: wait again, on a new set */
}

static bool epoll_flush(AioPoller *poller)
{
    EpollPoller *self = epoll_poller(poller);
    return !aio__list_empty(&self->always) || !aio__list_empty(&self->failed);
}

static AioHandle epoll_handle(AioPoller *poller)
{
    return aio__epoll_set_host(&epoll_poller(poller)->set);
}

const AioPollerOps aio__poller_epoll = {
    .name = "epoll",
    .flags = AIO_POLLER_EDGE | AIO_POLLER_HANDLE,
    .open = epoll_open,
    .close = epoll_close,
    .update = epoll_update,
    .wait = epoll_wait_ready,
    .flush = epoll_flush,
    .handle = epoll_handle,
};
