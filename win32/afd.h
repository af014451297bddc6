/*
 * The readiness of sockets, asked of the driver below Windows sockets; its answers come by a port.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_WIN32_AFD_H
#define AIOCTX_WIN32_AFD_H

#include "core/poller.h"
#include "win32/port.h"

typedef struct AioAfd {
    AioPort *port;    /* borrowed: outlives this */
    AioList *lost;    /* borrowed: watches that failed go there, by own_node, with their error */
    AioList *ready;   /* borrowed while packets are taken: where watches go that are ready */
    int found;        /* how many went there: set by whoever takes */
    AioList devices;  /* linked, owned: connections to the driver */
    AioList all;      /* linked, owned: the sockets */
    AioList unasked;  /* linked: those to be asked for by the next wait */
    AioList again;    /* linked: those to be asked for by this one, after packets were taken */
    AioList reset;    /* linked: those of which there is nothing left to be asked */
    size_t in_kernel; /* requests whose packets have not come */
    unsigned wait;    /* a number for each wait */
} AioAfd;

/* 0, or a negative errno value where the system has no such driver. */
int aio__afd_open(AioAfd *afd, AioPort *port, AioList *lost);

/* Returns once the kernel has given back all; takes packets off the port for that. */
void aio__afd_close(AioAfd *afd);

/* As the poller's update; -errno where it can't be watched. */
int aio__afd_update(AioAfd *afd, AioWatch *watch, unsigned wanted);

/* Before packets are taken: ask for all that is not asked for yet. */
void aio__afd_ask(AioAfd *afd);

/* After it: ask for those whose answer is no good, because the request was an older one. Returns whether there were any. */
bool aio__afd_ask_again(AioAfd *afd);

/* Report the sockets whose connection was reset, again. Returns how many. */
int aio__afd_report_reset(AioAfd *afd, AioList *ready);

#endif
