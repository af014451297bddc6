/*
 * The workers: threads, each with a context that serves its part of the connections, and with AioFiles of its own over
 * the descriptors that the exports opened (an AioFile belongs to one context, a descriptor does not).
 * What runs in a worker's thread is said at each function; all others are called by the main thread.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "connection.h"
#include "server.h"

/* In the worker's thread. */
static void open_files(void *opaque)
{
    Worker *worker = opaque;
    Server *server = worker->server;
    for (unsigned i = 0; i < server->export_count; i++) {
        AioHandle handle = aio_file_handle(server->exports[i].file);
        worker->files[i] = aio_file_from_handle(worker->ctx, handle, false, NULL);
        if (!worker->files[i])
            return;
    }
    worker->opened = true;
}

/* In the worker's thread. */
static void close_files(void *opaque)
{
    Worker *worker = opaque;
    for (unsigned i = 0; i < worker->server->export_count; i++)
        aio_file_close(worker->files[i]);
}

/* In the worker's thread. */
static void drain(void *opaque)
{
    Worker *worker = opaque;
    Connection *next;
    worker->draining = true;
    for (Connection *conn = worker->connections; conn; conn = next) {
        next = conn->next; /* draining may end this connection, but never another */
        connection_drain(conn);
    }
}

static bool start_one(Server *server, AioError **errp)
{
    Worker *worker = calloc(1, sizeof(*worker));
    if (!worker) {
        aio_error_set(errp, ENOMEM, "no memory for a worker");
        return false;
    }
    worker->server = server;
    snprintf(worker->name, sizeof(worker->name), "worker %u", server->worker_count);
    AioContextOptions options = {
        .size = sizeof(options), .poller = server->options.poller, .name = worker->name};
    worker->thread = aio_thread_start(&options, errp);
    if (!worker->thread) {
        free(worker);
        return false;
    }
    worker->ctx = aio_thread_context(worker->thread);
    aio_context_ref(worker->ctx);
    server->workers[server->worker_count++] = worker;

    worker->drain = aio_bh_new_full(worker->ctx, drain, worker, "drain", NULL, errp);
    if (!worker->drain || !aio_wait_bh(worker->ctx, open_files, worker, errp))
        return false;
    if (!worker->opened)
        aio_error_set(errp, ENOMEM, "%s: no memory for its files", worker->name);
    return worker->opened;
}

bool workers_start(Server *server, AioError **errp)
{
    while (server->worker_count < server->options.threads) {
        if (!start_one(server, errp))
            return false;
    }
    return true;
}

static bool clients_left(void *opaque)
{
    Server *server = opaque;
    return atomic_load(&server->connections) > 0;
}

void workers_drain(Server *server)
{
    for (unsigned i = 0; i < server->worker_count; i++) {
        if (server->workers[i]->drain)
            aio_bh_schedule(server->workers[i]->drain);
    }
    aio_wait_while(server->ctx, clients_left, server); /* kicked by connection.c */
}

void workers_join(Server *server)
{
    for (unsigned i = 0; i < server->worker_count; i++) {
        Worker *worker = server->workers[i];
        if (worker->drain)
            aio_bh_delete(worker->drain);
        aio_wait_bh(worker->ctx, close_files, worker, NULL);
        aio_thread_join(worker->thread);
    }
}

void workers_free(Server *server)
{
    while (server->worker_count) {
        Worker *worker = server->workers[--server->worker_count];
        aio_context_unref(worker->ctx);
        free(worker);
    }
}
