/*
 * What an iteration costs on Windows by the number of handles and sockets: one of them becomes ready and is waited
 * for, and a call that does not block and finds nothing. Medians of rounds that take turns.
 *
 * usage: bench_handles [POLLER...]; without a name, the default one.
 *
 * SPDX-License-Identifier: MIT
 */
#define WIN32_LEAN_AND_MEAN
#define _WIN32_WINNT 0x0602
#include <winsock2.h>

#include <windows.h>

#include <stdio.h>
#include <stdlib.h>

#include <aioctx/aioctx.h>

enum { ROUNDS = 9, TURNS = 200, MOST = 1000 };

typedef struct Bed {
    AioContext *ctx;
    AioHandle handles[MOST]; /* what is watched */
    SOCKET far_ends[MOST];   /* of sockets */
    bool sockets;
    int n;
    int calls;
} Bed;

static Bed bed;

static void on_ready(void *opaque)
{
    AioHandle handle = *(AioHandle *)opaque;
    char byte;
    if (bed.sockets) {
        recv((SOCKET)handle, &byte, 1, 0);
    }
    bed.calls++;
}

static void make_ready(int i)
{
    if (bed.sockets) {
        send(bed.far_ends[i], "x", 1, 0);
    } else {
        SetEvent((HANDLE)bed.handles[i]);
    }
}

static bool open_pair(SOCKET listener, const struct sockaddr_in *address, int i)
{
    BOOL no_delay = TRUE;
    SOCKET far_end = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(far_end, (const struct sockaddr *)address, sizeof(*address)) != 0) {
        return false;
    }
    setsockopt(far_end, IPPROTO_TCP, TCP_NODELAY, (char *)&no_delay, sizeof(no_delay));
    bed.far_ends[i] = far_end;
    bed.handles[i] = (AioHandle)accept(listener, NULL, NULL);
    return true;
}

static bool open_bed(const char *poller, bool sockets, int n)
{
    AioContextOptions options = {.size = sizeof(options), .poller = poller};
    AioHandlerOps ops = {.size = sizeof(ops), .read = on_ready};
    struct sockaddr_in address = {.sin_family = AF_INET};
    int size = sizeof(address);
    bed = (Bed){.ctx = aio_context_new_with_options(&options, NULL), .sockets = sockets, .n = n};
    if (!bed.ctx) {
        return false;
    }
    SOCKET listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(listener, (struct sockaddr *)&address, size);
    listen(listener, MOST);
    getsockname(listener, (struct sockaddr *)&address, &size);
    for (int i = 0; i < n; i++) {
        if (sockets && !open_pair(listener, &address, i)) {
            return false;
        }
        if (!sockets) {
            bed.handles[i] = (AioHandle)CreateEventW(NULL, FALSE, FALSE, NULL);
        }
        aio_handler_set(bed.ctx, bed.handles[i], sockets ? AIO_HANDLE_SOCKET : AIO_HANDLE_OBJECT, 0,
                        &ops, &bed.handles[i], NULL);
    }
    closesocket(listener);
    aio_poll(bed.ctx, false);
    return true;
}

static void close_bed(void)
{
    for (int i = 0; i < bed.n; i++) {
        aio_handler_remove(bed.ctx, bed.handles[i],
                           bed.sockets ? AIO_HANDLE_SOCKET : AIO_HANDLE_OBJECT);
        if (bed.sockets) {
            closesocket((SOCKET)bed.handles[i]);
            closesocket(bed.far_ends[i]);
        } else {
            CloseHandle((HANDLE)bed.handles[i]);
        }
    }
    aio_context_unref(bed.ctx);
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double one_ready(void)
{
    int64_t start = aio_clock_get_ns(AIO_CLOCK_REALTIME);
    for (int i = 0; i < TURNS; i++) {
        int calls = bed.calls;
        make_ready((int)((unsigned)i * 7919u % (unsigned)bed.n));
        while (bed.calls == calls) {
            aio_poll(bed.ctx, true);
        }
    }
    return (double)(aio_clock_get_ns(AIO_CLOCK_REALTIME) - start) / TURNS / 1000;
}

static double none_ready(void)
{
    int64_t start = aio_clock_get_ns(AIO_CLOCK_REALTIME);
    for (int i = 0; i < TURNS; i++) {
        aio_poll(bed.ctx, false);
    }
    return (double)(aio_clock_get_ns(AIO_CLOCK_REALTIME) - start) / TURNS / 1000;
}

static void measure(const char *poller, bool sockets, int n)
{
    double one[ROUNDS], none[ROUNDS];
    if (!open_bed(poller, sockets, n)) {
        printf("%s: can't be set up\n", poller ? poller : "default");
        return;
    }
    for (int i = 0; i < ROUNDS; i++) {
        one[i] = one_ready();
        none[i] = none_ready();
    }
    qsort(one, ROUNDS, sizeof(one[0]), compare);
    qsort(none, ROUNDS, sizeof(none[0]), compare);
    printf("| %-8s | %-7s | %5d | %8.1f | %8.1f |\n", poller ? poller : "default",
           sockets ? "sockets" : "events", n, one[ROUNDS / 2], none[ROUNDS / 2]);
    fflush(stdout);
    close_bed();
}

int main(int argc, char **argv)
{
    static const int numbers[] = {10, 100, MOST};
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
    printf(
        "| poller   | what    |     n | one ready, us | none ready, us |\n|---|---|---|---|---|\n");
    for (int p = 1; p < argc || p == 1; p++) {
        for (int sockets = 0; sockets < 2; sockets++) {
            for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
                measure(p < argc ? argv[p] : NULL, sockets, numbers[i]);
            }
        }
    }
    return 0;
}
