/*
 * Stand-ins for modules that have not landed. Whoever lands one deletes its part here; the last one deletes
 * the file and its line in CMakeLists.txt.
 *
 * SPDX-License-Identifier: MIT
 */
#include "aioctx/wait.h"

/* defer.c */
void aio_defer_call(AioCallback *cb, void *opaque)
{
    cb(opaque);
}
