/*
 * An epoll(7) set that can be made anew, for those who use it and for those who wait for it.
 *
 * The set proper keeps its number by dup3(2). A host that waits for it in an epoll set of its own would lose it
 * then, since such a set knows files, not numbers; so it is given an outer set, which has the inner one in it and
 * is never replaced. Only hosts pay for that.
 * A child of fork(2) shares the set; it must not take its parent's descriptors out.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "linux/epoll_set.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int aio__epoll_set_open(AioEpollSet *set)
{
    set->fd = epoll_create1(EPOLL_CLOEXEC);
    set->host = -1;
    set->pid = getpid();
    return set->fd < 0 ? -errno : 0;
}

void aio__epoll_set_close(AioEpollSet *set)
{
    if (set->host >= 0) {
        close(set->host);
    }
    close(set->fd);
}

/* Have the outer set tell of an inner one. */
static int add_to_host(int host, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(host, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int aio__epoll_set_renew(AioEpollSet *set)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    /* While it can be taken back: the outer set forgets the old one by itself, or this one where it is closed. */
    int error = set->host >= 0 ? add_to_host(set->host, fd) : 0;
    if (!error && dup3(fd, set->fd, O_CLOEXEC) < 0) {
        error = -errno;
    }
    close(fd);
    return error;
}

int aio__epoll_set_host(AioEpollSet *set)
{
    if (set->host < 0) {
        int host = epoll_create1(EPOLL_CLOEXEC);
        if (host >= 0 && add_to_host(host, set->fd) < 0) {
            close(host);
            host = -1;
        }
        set->host = host;
    }
    return set->host;
}

int aio__epoll_set_add(AioEpollSet *set, int fd, struct epoll_event event)
{
    if (epoll_ctl(set->fd, EPOLL_CTL_ADD, fd, &event) == 0) {
        return 0;
    }
    /* EEXIST: left behind by a removal that could not reach it; the same file, so it can be taken over. */
    return errno == EEXIST ? aio__epoll_set_modify(set, fd, event) : -errno;
}

int aio__epoll_set_modify(AioEpollSet *set, int fd, struct epoll_event event)
{
    return epoll_ctl(set->fd, EPOLL_CTL_MOD, fd, &event) < 0 ? -errno : 0;
}

void aio__epoll_set_remove(AioEpollSet *set, int fd)
{
    /* Asked each time, beside a system call that is needed anyway: nobody tells a library of a fork for free. */
    if (getpid() == set->pid) {
        epoll_ctl(set->fd, EPOLL_CTL_DEL, fd, NULL);
    }
}
