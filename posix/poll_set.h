/*
 * The descriptors that a poll(2) is about, and whose they are.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_POSIX_POLL_SET_H
#define AIOCTX_POSIX_POLL_SET_H

#include <poll.h>

#include "core/poller.h"

typedef struct AioPollSet {
    struct pollfd *fds; /* owned; parallel to `watches` */
    AioWatch **watches; /* owned array of borrowed watches; `own` is a watch's index in it */
    size_t count;
    size_t capacity;
} AioPollSet;

void aio__poll_set_free(AioPollSet *set);

/* Take a watch in: it is ARMED then. 0 or -ENOMEM. */
int aio__poll_set_add(AioPollSet *set, AioWatch *watch);

/* Say what it waits for. */
void aio__poll_set_events(AioPollSet *set, const AioWatch *watch, short events);

/* Take it out: it is IDLE then and wants nothing. */
void aio__poll_set_remove(AioPollSet *set, AioWatch *watch);

/* Wait until one is ready, as aio__posix_wait(), for any number of them. */
int aio__poll_set_wait(AioPollSet *set, int64_t timeout_ns);

#endif
