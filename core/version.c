/*
 * The version of the library.
 *
 * SPDX-License-Identifier: MIT
 */
#include "aioctx/version.h"

int aio_version(void)
{
    return AIO_VERSION;
}

const char *aio_version_string(void)
{
    return AIO_VERSION_STRING;
}
