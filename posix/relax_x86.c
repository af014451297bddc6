/*
 * The hint of a spinning thread on x86, 32 and 64 bits. The build takes one of the files relax_*.c, by the processor.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/platform.h"

void aio__cpu_relax(void)
{
    __builtin_ia32_pause();
}
