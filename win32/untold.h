/*
 * What the next wait of a poller has to report besides what it finds: watches that failed, and signals that were taken for a
 * watch before it was removed, and are kept in it (AIO_WATCH_ONCE).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_WIN32_UNTOLD_H
#define AIOCTX_WIN32_UNTOLD_H

#include "core/poller.h"

/* At the end of an update: what it came to. The list links watches by own_node; who puts failed ones there sets their error. */
void aio__untold_update(AioList *untold, AioWatch *watch, unsigned wanted, int error);

/* Returns how many were reported. */
int aio__untold_report(AioList *untold, AioList *ready);

#endif
