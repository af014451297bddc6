/*
 * Which of the system calls that a test has replaced are to fail: the n-th and some after it, of each kind. What is
 * replaced, and the names of the kinds, stand in file_fault.h and system_fault.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_TESTS_FAULT_PLAN_H
#define AIOCTX_TESTS_FAULT_PLAN_H

#include <stdbool.h>

/* Kinds of calls that one program may have. */
enum { FAULT_KINDS_MAX = 16 };

/* In the place of an error: a transfer moves one byte. */
#define FAULT_SHORT 0

/* For as many calls as are made. */
#define FAULT_ALWAYS 1000000u

/* Have `count` calls fail with `error`, from the n-th on (1: the next). While nobody makes one. Several kinds may be armed. */
void fault_arm(unsigned call, unsigned n, unsigned count, int error);

/* Nothing is armed, and counting begins anew. Returns how many calls failed, or were cut, before. */
unsigned fault_reset(void);

/* How often it was called since then, failures included. */
unsigned fault_count(unsigned call);

/* For the replacements: count a call, and say whether it is one of those chosen; errno is set then. */
bool fault_strikes(unsigned call);

/* With what it is armed. */
int fault_error(unsigned call);

#endif
