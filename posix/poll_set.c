/*
 * One array of pollfd, kept between waits: a watch knows its place in it, and the last entry fills the place of
 * one that leaves.
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L
#include "posix/poll_set.h"

#include <errno.h>
#include <sys/resource.h>

#include "core/alloc.h"
#include "posix/wait.h"

#define FIRST_CAPACITY 16
#define PERIOD_NS 5000000 /* between two looks where poll(2) can't wait for all at once */

void aio__poll_set_free(AioPollSet *set)
{
    aio__free(set->fds);
    aio__free(set->watches);
}

static int reserve(AioPollSet *set)
{
    if (set->count < set->capacity) {
        return 0;
    }
    size_t capacity = set->capacity ? set->capacity * 2 : FIRST_CAPACITY;
    struct pollfd *fds = aio__realloc(set->fds, capacity * sizeof(*fds));
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

int aio__poll_set_add(AioPollSet *set, AioWatch *watch)
{
    if (reserve(set) < 0) {
        return -ENOMEM;
    }
    watch->own = set->count++;
    set->watches[watch->own] = watch;
    set->fds[watch->own].fd = (int)watch->handle;
    watch->state = AIO_WATCH_ARMED;
    return 0;
}

void aio__poll_set_events(AioPollSet *set, const AioWatch *watch, short events)
{
    set->fds[watch->own].events = events;
    set->fds[watch->own].revents = 0;
}

void aio__poll_set_remove(AioPollSet *set, AioWatch *watch)
{
    size_t place = (size_t)watch->own;
    size_t last = --set->count;
    set->fds[place] = set->fds[last];
    set->watches[place] = set->watches[last];
    set->watches[place]->own = place;
    watch->state = AIO_WATCH_IDLE;
    watch->wanted = 0;
}

/*
 * poll(2) refuses more descriptors than the process may have open, also where they were opened before the limit was
 * lowered. Then as many as it takes are looked at in turn, every now and then.
 */
static int wait_in_parts(AioPollSet *set, int64_t timeout_ns)
{
    struct rlimit limit;
    int found = 0;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == 0) {
        return -EINVAL;
    }
    for (size_t i = 0; i < set->count; i += (size_t)limit.rlim_cur) {
        size_t left = set->count - i;
        size_t part = left < limit.rlim_cur ? left : (size_t)limit.rlim_cur;
        int n = aio__posix_wait(set->fds + i, (nfds_t)part, 0);
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

int aio__poll_set_wait(AioPollSet *set, int64_t timeout_ns)
{
    int found = aio__posix_wait(set->fds, (nfds_t)set->count, timeout_ns);
    return found == -EINVAL ? wait_in_parts(set, timeout_ns) : found;
}
