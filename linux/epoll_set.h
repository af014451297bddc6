/*
 * The kernel's set of a poller, and what a host waits on in its place.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_LINUX_EPOLL_SET_H
#define AIOCTX_LINUX_EPOLL_SET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>

typedef struct AioEpollSet {
    int fd;   /* owned; keeps its number when the set is made anew */
    int host; /* owned: an outer set, made for the first host that asks; -1: none */
    pid_t pid;
    bool no_pwait2;
} AioEpollSet;

/* Make one; 0 or a negative errno value. */
int aio__epoll_set_open(AioEpollSet *set);
void aio__epoll_set_close(AioEpollSet *set);

/* Put an empty set in its place. 0, or a negative errno value, and all is as before. */
int aio__epoll_set_renew(AioEpollSet *set);

/* What a host waits on, the same one for ever, or -1 where the system refuses it. */
int aio__epoll_set_host(AioEpollSet *set);

/* Add a descriptor, or change it: 0 or a negative errno value. */
int aio__epoll_set_add(AioEpollSet *set, int fd, struct epoll_event event);
int aio__epoll_set_modify(AioEpollSet *set, int fd, struct epoll_event event);

/* Take a descriptor out. Fails where it was closed first, and then there is nothing to be done. */
void aio__epoll_set_remove(AioEpollSet *set, int fd);

#endif
