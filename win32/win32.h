/*
 * The system's headers, in the one order in which they go together, and what every file here needs of them.
 * Windows 8 is the oldest version that links.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef AIOCTX_WIN32_WIN32_H
#define AIOCTX_WIN32_WIN32_H

#define WIN32_LEAN_AND_MEAN
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0602
#endif
#include <winsock2.h>

#include <windows.h>

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

/* The negative errno value for an error of Windows or of Windows sockets. Never 0. */
int aio__win32_error(DWORD error);

/* Whether it is a handle at all. */
static inline bool aio__is_open(HANDLE handle)
{
    DWORD flags;
    return GetHandleInformation(handle, &flags);
}

/* Why something is no socket; Windows says the same of what is nothing at all. */
static inline int aio__no_socket(HANDLE handle)
{
    return aio__is_open(handle) ? -ENOTSOCK : -EBADF;
}

/* That for GetLastError(). */
static inline int aio__last_error(void)
{
    return aio__win32_error(GetLastError());
}

/* Windows sockets, counted by the system: one WSACleanup() for each success. 0 or a negative errno value. */
static inline int aio__winsock_start(void)
{
    WSADATA data;
    int status = WSAStartup(MAKEWORD(2, 2), &data);
    return status == 0 ? 0 : aio__win32_error((DWORD)status);
}

#endif
