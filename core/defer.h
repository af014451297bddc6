/*
 * Deferred calls as core itself needs them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_DEFER_H
#define AIOCTX_CORE_DEFER_H

#include "aioctx/types.h"

/*
 * Forget a call that a section of this thread has collected. Returns whether there was one: not where its section
 * is ending, and makes the calls.
 */
bool aio__defer_take_back(AioCallback *cb, void *opaque);

#endif
