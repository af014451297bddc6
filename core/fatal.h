/*
 * The end of the program after an error of the fatal list, which docs/contract.md has.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_CORE_FATAL_H
#define AIOCTX_CORE_FATAL_H

#include "aioctx/error.h"

/* Report an error from the fatal list and end the program. */
#if defined(__GNUC__)
AIO_PRINTF(1, 2)
__attribute__((noreturn))
#endif
void aio__fatal(const char *format, ...);

#endif
