/*
 * No hint of a spinning thread, for processors that have none or that nobody has looked into. The build takes one of
 * the files relax_*.c, by the processor.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/platform.h"

void aio__cpu_relax(void)
{
}
