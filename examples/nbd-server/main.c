/*
 * nbd-server: serves raw disk images over the NBD protocol; an example of a threaded server on aioctx.
 * This file starts everything in order and ends it in reverse. Exit status: 0 after SIGTERM or SIGINT, 1 where
 * something failed or a second signal forced the end, 2 for a wrong command line.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server.h"
#include "system.h"

static AioNotifier signalled = {.read_handle = AIO_HANDLE_NONE, .write_handle = AIO_HANDLE_NONE};

/* All that a signal handler should do: set a notifier, which wakes the loop. */
static void on_stop(void)
{
    aio_notifier_set(&signalled);
}

static void stop(AioNotifier *notifier)
{
    aio_notifier_test_and_clear(notifier);
    aio_context_stop(aio_context_current());
}

static bool signals_start(AioContext *ctx, AioError **errp)
{
    int err = aio_notifier_init(&signalled, false);
    if (err) {
        aio_error_set(errp, -err, "no notifier for signals: %s", system_error_text(err));
        return false;
    }
    aio_set_event_notifier(ctx, &signalled, false, stop, NULL);
    system_on_stop(on_stop);
    return true;
}

/* The handlers stay: a second signal still ends the program, and a set after the cleanup does nothing. */
static void signals_stop(AioContext *ctx)
{
    aio_set_event_notifier(ctx, &signalled, false, NULL, NULL);
    aio_notifier_cleanup(&signalled);
}

static bool start(Server *server, AioError **errp)
{
    return exports_open(server, errp) && workers_start(server, errp) &&
           signals_start(server->ctx, errp) && listeners_open(server, errp);
}

int main(int argc, char **argv)
{
    static Server server;
    AioError *error = NULL;
    argv = system_start(&argc, argv);
    options_parse(&server.options, argc, argv);

    AioContextOptions options = {
        .size = sizeof(options), .poller = server.options.poller, .name = "main"};
    server.ctx = aio_context_new_with_options(&options, &error);
    if (!server.ctx)
        goto failed;
    aio_context_bind(server.ctx);

    if (start(&server, &error)) {
        if (server.options.progress)
            progress_start(&server);
        aio_context_run(server.ctx);
        progress_stop(&server);
    }

    listeners_close(&server);
    workers_drain(&server);
    workers_join(&server);
    if (server.options.counters && !error)
        counters_write(&server, &error);
    signals_stop(server.ctx);
    workers_free(&server);
    exports_close(&server);
    while (aio_poll(server.ctx, false))
        ;
    aio_context_unref(server.ctx);
failed:
    if (!error)
        return 0;
    log_line("%s", aio_error_message(error));
    aio_error_free(error);
    return 1;
}
