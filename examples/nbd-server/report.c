/*
 * What the server tells: the log, the line of live statistics, and the counters of the event loops at exit.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server.h"
#include "system.h"

static struct Progress {
    AioTimer timer;
    bool running;
    _Atomic bool terminal;                        /* there is a line to overwrite */
    uint64_t requests, bytes_read, bytes_written; /* at the last line */
    int64_t at_ns;
} progress;

void log_line(const char *format, ...)
{
    /* One write, so that the lines of several threads don't mix. Clients' names may be anything. */
    char line[512];
    va_list args;
    int start = snprintf(line, sizeof(line), "%snbd-server: ", progress.terminal ? "\r\033[K" : "");
    va_start(args, format);
    vsnprintf(line + start, sizeof(line) - (size_t)start - 1, format, args);
    va_end(args);
    for (char *c = line + start; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    }
    strcat(line, "\n");
    fputs(line, stderr);
    fflush(stderr); /* not every C library leaves it unbuffered */
}

static uint64_t get(const _Atomic uint64_t *stat)
{
    return atomic_load_explicit(stat, memory_order_relaxed);
}

static void show(void *opaque)
{
    Server *server = opaque;
    uint64_t requests = 0, bytes_read = 0, bytes_written = 0, in_flight = 0;
    for (unsigned i = 0; i < server->worker_count; i++) {
        const Statistics *stats = &server->workers[i]->stats;
        requests += get(&stats->requests);
        bytes_read += get(&stats->bytes_read);
        bytes_written += get(&stats->bytes_written);
        in_flight += get(&stats->in_flight);
    }
    int64_t now = aio_clock_get_ns(AIO_CLOCK_REALTIME);
    double elapsed = (double)(now - progress.at_ns) / 1e9;
    fprintf(stderr,
            "%s%u clients, %" PRIu64 " in flight, %" PRIu64 " requests, %.0f/s, read %.1f MiB/s, "
            "written %.1f MiB/s%s",
            progress.terminal ? "\r\033[K" : "", atomic_load(&server->connections), in_flight,
            requests, (double)(requests - progress.requests) / elapsed,
            (double)(bytes_read - progress.bytes_read) / elapsed / 1048576,
            (double)(bytes_written - progress.bytes_written) / elapsed / 1048576,
            progress.terminal ? "" : "\n");
    fflush(stderr);
    progress.requests = requests;
    progress.bytes_read = bytes_read;
    progress.bytes_written = bytes_written;
    progress.at_ns = now;
    aio_timer_mod_ns(&progress.timer, now + (progress.terminal ? AIO_SCALE_S / 4 : AIO_SCALE_S));
}

void progress_start(Server *server)
{
    progress.running = true;
    progress.terminal = system_has_terminal();
    progress.at_ns = aio_clock_get_ns(AIO_CLOCK_REALTIME);
    aio_timer_init(server->ctx, &progress.timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, show, server);
    aio_timer_mod_ns(&progress.timer, progress.at_ns + AIO_SCALE_S / 4);
}

void progress_stop(Server *server)
{
    if (!progress.running)
        return;
    show(server);
    aio_timer_del(&progress.timer);
    if (progress.terminal)
        fputc('\n', stderr);
    progress.terminal = false;
}

static void write_context(FILE *out, AioContext *ctx, const char *end)
{
    AioContextInfo info = {.size = sizeof(info)};
    aio_context_info(ctx, &info);
    const AioContextCounters *c = &info.counters;
    fprintf(out, "  {\"name\": \"%s\", \"poller\": \"%s\",\n", info.name, info.poller);
    fprintf(out,
            "   \"iterations\": %" PRIu64 ", \"waits\": %" PRIu64 ", \"sleeps\": %" PRIu64 ",\n",
            c->iterations, c->waits, c->sleeps);
    fprintf(out,
            "   \"notifier_writes\": %" PRIu64 ", \"drains\": %" PRIu64
            ", \"interest_updates\": %" PRIu64 ", \"busy_polls\": %" PRIu64 ",\n",
            c->notifier_writes, c->drains, c->interest_updates, c->busy_polls);
    fprintf(out,
            "   \"bh_calls\": %" PRIu64 ", \"handler_calls\": %" PRIu64
            ", \"timer_calls\": %" PRIu64 ",\n",
            c->bh_calls, c->handler_calls, c->timer_calls);
    fprintf(out,
            "   \"request_completions\": %" PRIu64 ", \"co_resumes\": %" PRIu64
            ", \"errors_recorded\": %" PRIu64 "}%s\n",
            c->request_completions, c->co_resumes, c->errors_recorded, end);
}

bool counters_write(Server *server, AioError **errp)
{
    const char *path = server->options.counters;
    FILE *out = strcmp(path, "-") == 0 ? stdout : system_create(path);
    if (!out) {
        aio_error_set(errp, errno, "%s: %s", path, strerror(errno));
        return false;
    }
    /* The main context first; then the workers', which ended, so that their numbers are exact. */
    uint64_t requests = 0;
    for (unsigned i = 0; i < server->worker_count; i++)
        requests += get(&server->workers[i]->stats.requests);
    fprintf(out, "{\"requests\": %" PRIu64 ", \"contexts\": [\n", requests);
    write_context(out, server->ctx, server->worker_count ? "," : "");
    for (unsigned i = 0; i < server->worker_count; i++)
        write_context(out, server->workers[i]->ctx, i + 1 < server->worker_count ? "," : "");
    fprintf(out, "]}\n");
    bool failed = ferror(out) != 0;
    failed |= (out == stdout ? fflush(out) : fclose(out)) != 0;
    if (failed)
        aio_error_set(errp, EIO, "%s: can't write", path);
    return !failed;
}
