/*
 * The hint of a spinning thread on 64-bit ARM. The build takes one of the files relax_*.c, by the processor.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/platform.h"

void aio__cpu_relax(void)
{
    __asm__ volatile("yield");
}
