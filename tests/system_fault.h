/*
 * The system calls of the library, replaced when the test is linked, so that the n-th of them can fail as the
 * system could make it fail.
 *
 * A program that uses this is registered with aioctx_add_tests(... WRAP). What the test itself
 * calls is replaced, too: it says so between fault_pause() and fault_resume().
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_TESTS_SYSTEM_FAULT_H
#define AIOCTX_TESTS_SYSTEM_FAULT_H

#include "tests/fault_plan.h"

typedef enum FaultCall {
    FAULT_EPOLL_CREATE1,
    FAULT_EPOLL_CTL,
    FAULT_EPOLL_WAIT,
    FAULT_EPOLL_PWAIT2,
    FAULT_EVENTFD,
    FAULT_PIPE,
    FAULT_POLL,
    FAULT_READ,
    FAULT_WRITE,
    FAULT_DUP3,
    FAULT_FCNTL,
    FAULT_CALLS,
} FaultCall;

/* What comes in between is the test's own. */
void fault_pause(void);
void fault_resume(void);

#endif
