/*
 * Accepting clients and spreading them over the workers. Never more than --max-connections at a time: the next ones are
 * turned away with a line in the log. Where descriptors run out, accepting pauses instead of spinning on a socket that
 * stays readable.
 *
 * SPDX-License-Identifier: MIT
 */
#include "listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"

enum { ACCEPTS_IN_A_ROW = 16 };

static void accept_ready(void *opaque);

static bool resume(Listener *listener, AioError **errp)
{
    AioHandlerOps ops = {.size = sizeof(ops), .read = accept_ready};
    return aio_handler_set(listener->server->ctx, listener->sock, AIO_HANDLE_SOCKET, 0, &ops,
                           listener, errp);
}

static void pause_for(Listener *listener, int64_t duration_ns)
{
    aio_handler_remove(listener->server->ctx, listener->sock, AIO_HANDLE_SOCKET);
    aio_timer_mod_ns(&listener->retry, aio_clock_get_ns(AIO_CLOCK_REALTIME) + duration_ns);
}

static void retry(void *opaque)
{
    Listener *listener = opaque;
    if (!resume(listener, NULL))
        pause_for(listener, AIO_SCALE_S);
}

static void admit(Listener *listener, AioHandle sock, const char *peer)
{
    Server *server = listener->server;
    unsigned id = ++server->next_id;
    AioError *error = NULL;

    if (atomic_load(&server->connections) >= server->options.max_connections) {
        log_line("client %u (%s): turned away, %u connections are open", id, peer,
                 server->options.max_connections);
        system_socket_close(sock);
        return;
    }
    if (system_socket_prepare(sock)) {
        system_socket_close(sock);
        return;
    }
    atomic_fetch_add(&server->connections, 1);
    Worker *worker = server->workers[server->next_worker++ % server->worker_count];
    if (!connection_start(worker, sock, id, peer, &error)) {
        log_line("client %u (%s): %s", id, peer, aio_error_message(error));
        aio_error_free(error);
        atomic_fetch_sub(&server->connections, 1);
    }
}

static void accept_ready(void *opaque)
{
    Listener *listener = opaque;
    for (int i = 0; i < ACCEPTS_IN_A_ROW; i++) {
        AioHandle sock;
        char peer[64];
        int err = address_accept(listener, &sock, peer, sizeof(peer));
        if (err == -EAGAIN)
            return;
        if (err == -EINTR || err == -ECONNABORTED)
            continue;
        if (err) {
            log_line("%s: can't accept: %s", listener->name, system_error_text(err));
            pause_for(listener, AIO_SCALE_S / 10);
            return;
        }
        admit(listener, sock, peer);
    }
}

static void close_one(Listener *listener)
{
    if (listener->is_unix)
        system_unix_remove(listener->name, &listener->node);
    aio_timer_del(&listener->retry);
    aio_handler_remove(listener->server->ctx, listener->sock, AIO_HANDLE_SOCKET);
    system_socket_close(listener->sock);
    free(listener);
}

static bool open_one(Server *server, const char *address, AioError **errp)
{
    Listener *listener = calloc(1, sizeof(*listener));
    if (!listener) {
        aio_error_set(errp, ENOMEM, "%s: no memory", address);
        return false;
    }
    listener->server = server;
    if (!(strchr(address, '/')
              ? address_open_unix(listener, address, errp)
              : address_open_tcp(listener, address, server->options.allow_remote, errp))) {
        free(listener);
        return false;
    }
    aio_timer_init(server->ctx, &listener->retry, AIO_CLOCK_REALTIME, AIO_SCALE_NS, retry,
                   listener);
    server->listeners[server->listener_count++] = listener;
    int err = system_socket_prepare(listener->sock);
    if (err) {
        aio_error_set(errp, -err, "%s: %s", address, system_error_text(err));
        return false;
    }
    return resume(listener, errp);
}

bool listeners_open(Server *server, AioError **errp)
{
    for (unsigned i = 0; i < server->options.listeners; i++) {
        if (!open_one(server, server->options.listen[i], errp))
            return false;
        printf("listening on %s\n", server->listeners[i]->name);
    }
    fflush(stdout); /* for those who wait for it */
    return true;
}

void listeners_close(Server *server)
{
    while (server->listener_count)
        close_one(server->listeners[--server->listener_count]);
}
