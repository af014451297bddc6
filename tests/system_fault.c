/*
 * See system_fault.h: each __wrap_ function is what the linker puts in the place of the call, each __real_ one is
 * the call.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "tests/system_fault.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert((int)FAULT_CALLS <= (int)FAULT_KINDS_MAX, "there is a plan for each");

static atomic_uint paused;

void fault_pause(void)
{
    atomic_fetch_add(&paused, 1);
}

void fault_resume(void)
{
    atomic_fetch_sub(&paused, 1);
}

static bool fails(FaultCall call)
{
    return atomic_load(&paused) == 0 && fault_strikes(call);
}

#define REPLACE(call, result, name, parameters, arguments)                                         \
    result __real_##name parameters;                                                               \
    result __wrap_##name parameters;                                                               \
    result __wrap_##name parameters                                                                \
    {                                                                                              \
        return fails(call) ? -1 : __real_##name arguments;                                         \
    }

REPLACE(FAULT_EPOLL_CREATE1, int, epoll_create1, (int flags), (flags))
REPLACE(FAULT_EPOLL_CTL, int, epoll_ctl, (int set, int op, int fd, struct epoll_event *event),
        (set, op, fd, event))
REPLACE(FAULT_EPOLL_WAIT, int, epoll_wait, (int fd, struct epoll_event *events, int max, int ms),
        (fd, events, max, ms))
REPLACE(FAULT_EVENTFD, int, eventfd, (unsigned value, int flags), (value, flags))
REPLACE(FAULT_PIPE, int, pipe, (int fds[2]), (fds))
REPLACE(FAULT_POLL, int, poll, (struct pollfd * fds, nfds_t count, int ms), (fds, count, ms))
REPLACE(FAULT_POLL, int, ppoll,
        (struct pollfd * fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask),
        (fds, count, timeout, mask))
REPLACE(FAULT_READ, ssize_t, read, (int fd, void *buffer, size_t size), (fd, buffer, size))
REPLACE(FAULT_WRITE, ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
REPLACE(FAULT_DUP3, int, dup3, (int from, int to, int flags), (from, to, flags))

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    int arg = va_arg(args, int); /* those that are used here take one, or none and ignore it */
    va_end(args);
    return fails(FAULT_FCNTL) ? -1 : __real_fcntl(fd, command, arg);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    long arg[6];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 6; i++) {
        arg[i] = va_arg(args, long);
    }
    va_end(args);
#ifdef SYS_epoll_pwait2
    if (number == SYS_epoll_pwait2 && fails(FAULT_EPOLL_PWAIT2)) {
        return -1;
    }
#endif
    return __real_syscall(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}
