/*
 * An echo server by handlers alone: what a client sends comes back. One thread, one context, any number of clients.
 * A client is either read from or written to, never both: one that takes nothing is not read from either, so nothing piles up.
 * usage: echo-server [PORT], on loopback; SIGTERM or Ctrl-C ends it.
 *
 * What differs between systems is that of nbd-server: see nbd-server/system.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sockets.h"
#include "system.h"

typedef struct Client {
    struct Client *next, **link; /* linked in `clients` */
    AioHandle sock;              /* owned */
    size_t start, end;           /* what is still to be sent, of `data` */
    bool watched_for_write;
    char data[65536];
} Client;

static AioContext *ctx;
static Client *clients;
static AioNotifier stopped = {.read_handle = AIO_HANDLE_NONE, .write_handle = AIO_HANDLE_NONE};

static void client_end(Client *client)
{
    aio_handler_remove(ctx, client->sock, AIO_HANDLE_SOCKET);
    system_socket_close(client->sock);
    *client->link = client->next;
    if (client->next)
        client->next->link = client->link;
    free(client);
}

static void client_readable(void *opaque);
static void client_writable(void *opaque);

static bool client_watch(Client *client, bool write)
{
    AioHandlerOps ops = {.size = sizeof(ops)};
    if (write)
        ops.write = client_writable;
    else
        ops.read = client_readable;
    client->watched_for_write = write;
    return aio_handler_set(ctx, client->sock, AIO_HANDLE_SOCKET, 0, &ops, client, NULL);
}

/* Send what there is, and wait for the next thing: room, or input. */
static void client_send(Client *client)
{
    int64_t n = 0;
    while (client->start < client->end && n >= 0) {
        AioIoVec iov = {.base = client->data + client->start, .len = client->end - client->start};
        n = system_socket_send(client->sock, &iov, 1);
        if (n > 0)
            client->start += (size_t)n;
    }
    bool left = client->start < client->end;
    if ((n < 0 && n != -EAGAIN) ||
        (left != client->watched_for_write && !client_watch(client, left)))
        client_end(client);
}

static void client_writable(void *opaque)
{
    client_send(opaque);
}

static void client_readable(void *opaque)
{
    Client *client = opaque;
    AioIoVec iov = {.base = client->data, .len = sizeof(client->data)};
    int64_t n = system_socket_recv(client->sock, &iov, 1);
    if (n == -EAGAIN)
        return;
    if (n <= 0) {
        client_end(client); /* all that came before has been sent */
        return;
    }
    client->start = 0;
    client->end = (size_t)n;
    client_send(client);
}

static void client_start(AioHandle sock)
{
    Client *client = system_socket_prepare(sock) ? NULL : calloc(1, sizeof(*client));
    if (!client) {
        system_socket_close(sock);
        return;
    }
    client->sock = sock;
    client->link = &clients;
    client->next = clients;
    if (clients)
        clients->link = &client->next;
    clients = client;
    if (!client_watch(client, false))
        client_end(client);
}

static void accept_ready(void *opaque)
{
    const AioHandle *listener = opaque;
    AioHandle sock = (AioHandle)accept((SystemSocket)*listener, NULL, NULL);
    if (sock != AIO_HANDLE_NONE)
        client_start(sock);
}

/* Returns the port, or a negative errno value. */
static int listen_on(AioHandle *listener, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001), .sin_port = htons(port)};
    socklen_t length = sizeof(address);
    SystemSocket sock = socket(AF_INET, SOCK_STREAM, 0);
    *listener = (AioHandle)sock;
    if (*listener == AIO_HANDLE_NONE || system_socket_own_port(*listener) ||
        bind(sock, (struct sockaddr *)&address, sizeof(address)) || listen(sock, SYSTEM_BACKLOG) ||
        getsockname(sock, (struct sockaddr *)&address, &length))
        return system_socket_error();
    int err = system_socket_prepare(*listener);
    return err ? err : ntohs(address.sin_port);
}

static void on_stop(void)
{
    aio_notifier_set(&stopped);
}

static void stop(AioNotifier *notifier)
{
    aio_notifier_test_and_clear(notifier);
    aio_context_stop(ctx);
}

static void serve(AioHandle listener)
{
    AioHandlerOps ops = {.size = sizeof(ops), .read = accept_ready};
    aio_set_event_notifier(ctx, &stopped, false, stop, NULL);
    system_on_stop(on_stop);
    if (aio_handler_set(ctx, listener, AIO_HANDLE_SOCKET, 0, &ops, &listener, NULL))
        aio_context_run(ctx);

    aio_handler_remove(ctx, listener, AIO_HANDLE_SOCKET);
    aio_set_event_notifier(ctx, &stopped, false, NULL, NULL);
    while (clients)
        client_end(clients);
    while (aio_poll(ctx, false))
        ;
}

int main(int argc, char **argv)
{
    AioError *error = NULL;
    AioHandle listener;
    argv = system_start(&argc, argv);
    ctx = aio_context_new(&error);
    if (!ctx) {
        fprintf(stderr, "echo-server: %s\n", aio_error_message(error));
        aio_error_free(error);
        return 1;
    }
    int port = listen_on(&listener, (uint16_t)(argc > 1 ? atoi(argv[1]) : 0));
    int err = port < 0 ? port : aio_notifier_init(&stopped, false);
    if (err) {
        fprintf(stderr, "echo-server: %s\n", system_error_text(err));
    } else {
        printf("listening on 127.0.0.1:%d\n", port);
        fflush(stdout); /* for those who wait for it */
        serve(listener);
    }
    aio_notifier_cleanup(&stopped);
    if (listener != AIO_HANDLE_NONE)
        system_socket_close(listener);
    aio_context_unref(ctx);
    return err ? 1 : 0;
}
