/*
 * A completion port: where sockets, files, and what is posted arrive, in one queue.
 *
 * Who has something to wait for embeds an AioPortOp, hands its `overlapped` to the system, and is told by `done` when the packet
 * comes, in the home thread and inside of aio__port_take(). Until then the op belongs to the system: it must neither move nor go.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_WIN32_PORT_H
#define AIOCTX_WIN32_PORT_H

#include <stdatomic.h>

#include "win32/win32.h"

typedef struct AioPortOp AioPortOp;

struct AioPortOp {
    OVERLAPPED overlapped; /* first: a packet names its op by this address */
    /* What it takes note of is dispatched later: it runs no callback of a user. May free the op. */
    void (*done)(AioPortOp *op);
};

typedef struct AioPort {
    HANDLE handle;     /* owned */
    unsigned expected; /* packets of files that will come: nobody but a wait sees them */
    bool hosted;       /* a host has slept, or was about to, where the packets don't wake it */
} AioPort;

/* What ends a take, without anything to tell but that. */
typedef struct AioPortWake {
    AioPortOp op;       /* first */
    AioPort *port;      /* borrowed: outlives it */
    atomic_bool posted; /* its packet is in the queue */
    bool seen;          /* home only: the packet was taken; cleared by whoever looks */
} AioPortWake;

/* 0 or a negative errno value, as the next. */
int aio__port_open(AioPort *port);

/* With no op in it that somebody waits for. */
void aio__port_close(AioPort *port);

/* Have what is done on a file that was opened for overlapped I/O arrive here. There is no way back but to close it. */
int aio__port_attach(AioPort *port, HANDLE file);

/* Whether a call on the file that succeeds at once leaves no packet, because somebody has said so. */
bool aio__port_is_skipped(HANDLE file);

/*
 * Whether the packet of an op will come, by the error of its call. A warning, that what arrived was cut, says so as success
 * does: the system has taken the op.
 */
bool aio__port_expects(const AioPortOp *op, DWORD error);

void aio__port_wake_init(AioPortWake *wake, AioPort *port);

/* End the take under way, or the next: from any thread, as often as wanted. Costs nothing while the packet is in the queue. */
void aio__port_wake(AioPortWake *wake);

/* To what an op came, once it is done: bytes, or a negative errno value. The end of a file is 0 bytes. */
int64_t aio__port_result(const AioPortOp *op);

/* The most packets that one call takes. */
#define AIO_PORT_BATCH 128

/*
 * Sleep until there is a packet, or for timeout_ms, and tell the ops. Returns how many there were, 0 when the time was up, or a
 * negative errno value.
 */
int aio__port_take(AioPort *port, DWORD timeout_ms);

#endif
