/*
 * The completion port of a context, for those who have something arrive there.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_WIN32_POLLER_PORT_H
#define AIOCTX_WIN32_POLLER_PORT_H

#include "core/poller.h"
#include "win32/port.h"

extern const AioPollerOps aio__poller_port;

/* NULL where it is another poller. Borrowed: for as long as the poller lives. */
AioPort *aio__poller_port_of(AioPoller *poller);

#endif
