/*
 * All of aioctx.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_AIOCTX_H
#define AIOCTX_AIOCTX_H

#include "aioctx/bh.h"
#include "aioctx/clock.h"
#include "aioctx/co_lock.h"
#include "aioctx/context.h"
#include "aioctx/coroutine.h"
#include "aioctx/error.h"
#include "aioctx/file.h"
#include "aioctx/handler.h"
#include "aioctx/notifier.h"
#include "aioctx/overlapped.h"
#include "aioctx/request.h"
#include "aioctx/thread.h"
#include "aioctx/thread_pool.h"
#include "aioctx/timer.h"
#include "aioctx/types.h"
#include "aioctx/version.h"
#include "aioctx/wait.h"

#endif
