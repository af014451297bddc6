/*
 * The sockets of a poller, on one event.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_WIN32_SOCKET_SET_H
#define AIOCTX_WIN32_SOCKET_SET_H

#include "core/poller.h"
#include "win32/win32.h"

typedef struct AioSocketSet {
    HANDLE event;       /* owned; auto-reset: something may have happened to one of them */
    WSAPOLLFD *fds;     /* owned; parallel to `watches` */
    AioWatch **watches; /* owned array of borrowed watches; `own` is a watch's index in it */
    size_t count;
    size_t capacity;
    size_t first; /* where the next report begins */
    bool stalled; /* the last look met one that waits to be written to */
} AioSocketSet;

int aio__sockets_init(AioSocketSet *set);
void aio__sockets_destroy(AioSocketSet *set);

/* As the poller's update; -errno where it can't be watched. */
int aio__sockets_update(AioSocketSet *set, AioWatch *watch, unsigned wanted);

/*
 * Append those that are ready to `ready`, and those that are no sockets any more, which leave the set, to `lost`
 * (linked by own_node). Returns how many were ready, or a negative errno value.
 */
int aio__sockets_look(AioSocketSet *set, AioList *ready, AioList *lost);

#endif
