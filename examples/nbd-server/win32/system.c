/*
 * The system's part of the server on Windows. There are no Unix sockets here: some versions of Windows have them, but no
 * client uses them there.
 *
 * SPDX-License-Identifier: MIT
 */
#include "system.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "sockets.h"

#include <shellapi.h>
#include <windows.h>

const char system_separators[] = "/\\";

/* The errors of sockets, with a text for those of which the C library knows none. */
static const struct {
    int error;
    int value;
    const char *text;
} errors[] = {
    {WSAEWOULDBLOCK, EAGAIN, NULL},
    {WSAEINTR, EINTR, NULL},
    {WSAEACCES, EACCES, NULL},
    {WSAEINVAL, EINVAL, NULL},
    {WSAEMFILE, EMFILE, NULL},
    {WSAENOTSOCK, ENOTSOCK, "not a socket"},
    {WSAENOBUFS, ENOBUFS, "no buffer space"},
    {WSAEADDRINUSE, EADDRINUSE, "address in use"},
    {WSAEADDRNOTAVAIL, EADDRNOTAVAIL, "no address of this machine"},
    {WSAEAFNOSUPPORT, EAFNOSUPPORT, "no such kind of address here"},
    {WSAENETDOWN, ENETDOWN, "network is down"},
    {WSAENETUNREACH, ENETUNREACH, "network is unreachable"},
    {WSAEHOSTUNREACH, EHOSTUNREACH, "host is unreachable"},
    {WSAECONNABORTED, ECONNABORTED, "connection aborted"},
    {WSAENETRESET, ENETRESET, "connection lost"},
    {WSAECONNRESET, ECONNRESET, "connection reset by peer"},
    {WSAENOTCONN, ENOTCONN, "not connected"},
    {WSAESHUTDOWN, EPIPE, NULL},
    {WSAETIMEDOUT, ETIMEDOUT, "timed out"},
};

/* What the system calls by UTF-16, in UTF-8. */
static char *narrow(const wchar_t *text)
{
    int size = WideCharToMultiByte(CP_UTF8, 0, text, -1, NULL, 0, NULL, NULL);
    char *copy = malloc((size_t)size);
    if (copy)
        WideCharToMultiByte(CP_UTF8, 0, text, -1, copy, size, NULL, NULL);
    return copy;
}

char **system_start(int *argc, char **argv)
{
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data); /* where this fails, the first socket says so */

    /* They live as long as the program. */
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), argc);
    char **args = wide ? calloc((size_t)*argc + 1, sizeof(char *)) : NULL;
    for (int i = 0; args && i < *argc; i++) {
        args[i] = narrow(wide[i]);
        if (!args[i])
            return argv;
    }
    LocalFree(wide);
    return args ? args : argv;
}

static void (*on_stop)(void);

/* In a thread of its own. */
static BOOL WINAPI on_control(DWORD type)
{
    static atomic_flag again = ATOMIC_FLAG_INIT;
    if (atomic_flag_test_and_set(&again))
        TerminateProcess(GetCurrentProcess(), 1);
    on_stop();
    if (type != CTRL_C_EVENT && type != CTRL_BREAK_EVENT)
        Sleep(INFINITE); /* when this returns, the system ends the process */
    return TRUE;
}

void system_on_stop(void (*stop)(void))
{
    on_stop = stop;
    SetConsoleCtrlHandler(NULL, FALSE); /* whoever started us may have had Ctrl-C ignored */
    SetConsoleCtrlHandler(on_control, TRUE);
}

bool system_has_terminal(void)
{
    HANDLE err = GetStdHandle(STD_ERROR_HANDLE);
    DWORD mode;
    return GetConsoleMode(err, &mode) &&
           SetConsoleMode(err, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
}

FILE *system_create(const char *path)
{
    wchar_t wide[MAX_PATH];
    if (!MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, MAX_PATH)) {
        errno = EINVAL;
        return NULL;
    }
    return _wfopen(wide, L"w");
}

const char *system_error_text(int err)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (errors[i].value == -err && errors[i].text)
            return errors[i].text;
    }
    return strerror(-err);
}

/* It is a hint, and the system has no call for it. */
int system_prefetch(AioHandle file, int64_t offset, int64_t length)
{
    (void)file;
    (void)offset;
    (void)length;
    return 0;
}

int system_socket_error(void)
{
    int error = WSAGetLastError();
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (errors[i].error == error)
            return -errors[i].value;
    }
    return -EIO;
}

int system_socket_prepare(AioHandle sock)
{
    u_long on = 1;
    /* A socket inherits from the one that accepted it that it wakes that one's loop. */
    if (WSAEventSelect((SOCKET)sock, NULL, 0) || ioctlsocket((SOCKET)sock, (long)FIONBIO, &on))
        return system_socket_error();
    SetHandleInformation((HANDLE)sock, HANDLE_FLAG_INHERIT, 0);
    return 0;
}

int system_socket_own_port(AioHandle sock)
{
    /* SO_REUSEADDR would let others take the port while we listen. */
    BOOL on = TRUE;
    return setsockopt((SOCKET)sock, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (char *)&on, sizeof(on))
               ? system_socket_error()
               : 0;
}

static DWORD buffers(WSABUF *pieces, const AioIoVec *iov, int iovcnt)
{
    int n = iovcnt < SYSTEM_MAX_IOV ? iovcnt : SYSTEM_MAX_IOV;
    for (int i = 0; i < n; i++)
        pieces[i] = (WSABUF){.buf = iov[i].base, .len = (ULONG)iov[i].len};
    return (DWORD)n;
}

int64_t system_socket_recv(AioHandle sock, const AioIoVec *iov, int iovcnt)
{
    WSABUF pieces[SYSTEM_MAX_IOV];
    DWORD count = buffers(pieces, iov, iovcnt), bytes, flags = 0;
    return WSARecv((SOCKET)sock, pieces, count, &bytes, &flags, NULL, NULL) ? system_socket_error()
                                                                            : (int64_t)bytes;
}

int64_t system_socket_send(AioHandle sock, const AioIoVec *iov, int iovcnt)
{
    WSABUF pieces[SYSTEM_MAX_IOV];
    DWORD count = buffers(pieces, iov, iovcnt), bytes;
    return WSASend((SOCKET)sock, pieces, count, &bytes, 0, NULL, NULL) ? system_socket_error()
                                                                       : (int64_t)bytes;
}

int system_socket_shutdown(AioHandle sock, bool both)
{
    return shutdown((SOCKET)sock, both ? SD_BOTH : SD_SEND) ? system_socket_error() : 0;
}

void system_socket_close(AioHandle sock)
{
    closesocket((SOCKET)sock);
}

bool system_unix_listen(const char *path, AioHandle *sock, SystemNode *node, AioError **errp)
{
    (void)sock;
    (void)node;
    aio_error_set(errp, EAFNOSUPPORT, "%s: no Unix sockets on this system; use [ADDRESS:]PORT",
                  path);
    return false;
}

void system_unix_remove(const char *path, const SystemNode *node)
{
    (void)path;
    (void)node;
}
