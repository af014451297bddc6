/*
 * Accepting clients and spreading them over the workers. Never more than --max-connections at a time: the next ones are
 * turned away with a line in the log. Where descriptors run out, accepting pauses instead of spinning on a socket that
 * stays readable.
 *
 * SPDX-License-Identifier: MIT
 */
#include "listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connection.h"

enum { ACCEPTS_IN_A_ROW = 16 };

static void accept_ready(void *opaque);

static bool resume(Listener *listener, AioError **errp)
{
    AioHandlerOps ops = {.size = sizeof(ops), .read = accept_ready};
    return aio_handler_set(listener->server->ctx, listener->fd, AIO_HANDLE_SOCKET, 0, &ops,
                           listener, errp);
}

static void pause_for(Listener *listener, int64_t duration_ns)
{
    aio_handler_remove(listener->server->ctx, listener->fd, AIO_HANDLE_SOCKET);
    aio_timer_mod_ns(&listener->retry, aio_clock_get_ns(AIO_CLOCK_REALTIME) + duration_ns);
}

static void retry(void *opaque)
{
    Listener *listener = opaque;
    if (!resume(listener, NULL))
        pause_for(listener, AIO_SCALE_S);
}

static void describe_peer(const Listener *listener, const struct sockaddr *address,
                          socklen_t length, char *peer, size_t size)
{
    char host[48] = "?", port[8] = "?";
    if (listener->is_unix) {
        snprintf(peer, size, "unix");
        return;
    }
    getnameinfo(address, length, host, sizeof(host), port, sizeof(port),
                NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(peer, size, "%s:%s", host, port);
}

static void prepare_tcp(int fd)
{
    /* Replies are whole messages: waiting to fill a packet only delays them. Keep-alive finds dead peers. */
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

static void admit(Listener *listener, int fd, const char *peer)
{
    Server *server = listener->server;
    unsigned id = ++server->next_id;
    AioError *error = NULL;

    if (atomic_load(&server->connections) >= server->options.max_connections) {
        log_line("client %u (%s): turned away, %u connections are open", id, peer,
                 server->options.max_connections);
        close(fd);
        return;
    }
    if (address_set_nonblocking(fd)) {
        close(fd);
        return;
    }
    if (!listener->is_unix)
        prepare_tcp(fd);
    atomic_fetch_add(&server->connections, 1);
    Worker *worker = server->workers[server->next_worker++ % server->worker_count];
    if (!connection_start(worker, fd, id, peer, &error)) {
        log_line("client %u (%s): %s", id, peer, aio_error_message(error));
        aio_error_free(error);
        atomic_fetch_sub(&server->connections, 1);
    }
}

static void accept_ready(void *opaque)
{
    Listener *listener = opaque;
    for (int i = 0; i < ACCEPTS_IN_A_ROW; i++) {
        struct sockaddr_storage address;
        socklen_t length = sizeof(address);
        int fd = accept(listener->fd, (struct sockaddr *)&address, &length);
        if (fd < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK)
                return;
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            log_line("%s: can't accept: %s", listener->name, strerror(errno));
            pause_for(listener, AIO_SCALE_S / 10);
            return;
        }
        char peer[64];
        describe_peer(listener, (struct sockaddr *)&address, length, peer, sizeof(peer));
        admit(listener, fd, peer);
    }
}

static void close_one(Listener *listener)
{
    struct stat node;
    if (listener->is_unix && lstat(listener->name, &node) == 0 &&
        node.st_dev == listener->node.st_dev && node.st_ino == listener->node.st_ino)
        unlink(listener->name);
    aio_timer_del(&listener->retry);
    aio_handler_remove(listener->server->ctx, listener->fd, AIO_HANDLE_SOCKET);
    close(listener->fd);
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
    int err = address_set_nonblocking(listener->fd);
    if (err) {
        aio_error_set(errp, -err, "%s: %s", address, strerror(-err));
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
