// Every macro of the headers that has a value, used from C++ with warnings that C's way of writing them would raise.
// SPDX-License-Identifier: MIT
#include <aioctx/aioctx.h>

AioHandle nothing()
{
    return AIO_HANDLE_NONE;
}
unsigned attribute()
{
    return AIO_TIMER_EXTERNAL;
}
int scales()
{
    return AIO_SCALE_NS + AIO_SCALE_US + AIO_SCALE_MS + AIO_SCALE_S;
}
int version()
{
    return AIO_VERSION + AIO_VERSION_MAJOR + AIO_VERSION_MINOR + AIO_VERSION_PATCH;
}
const char *text()
{
    return AIO_VERSION_STRING;
}
