/*
 * What the files of the server share. The main thread's context accepts connections and handles signals; each
 * worker, a thread with a context of its own, serves its part of the connections, and nothing of a connection is
 * touched by another thread.
 *
 *   main.c        start and end            options.c   the command line
 *   listen.c      accepting                export.c    the images
 *   worker.c      the threads              report.c    log, statistics, counters
 *   socket.c      bytes for coroutines     connection.c   one client from accept to close
 *   handshake.c   option haggling          transmission.c requests in and replies out
 *   request.c     what each command does   nbd.h       the protocol's numbers
 *   address.c     TCP                      system.h    what differs between systems
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NBD_SERVER_SERVER_H
#define NBD_SERVER_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <aioctx/aioctx.h>

enum {
    MAX_EXPORTS = 64,
    MAX_LISTENERS = 8,
    MAX_WORKERS = 64,
};

/* The command line; strings are borrowed from argv. */
typedef struct Options {
    const char *listen[MAX_LISTENERS]; /* [ADDRESS:]PORT, or a path where it contains '/' */
    unsigned listeners;
    const char *images[MAX_EXPORTS]; /* [NAME=]FILE */
    unsigned exports;
    const char *poller;
    const char *counters; /* file for the counters at exit, "-": standard output */
    unsigned threads;
    unsigned max_connections;
    unsigned max_requests; /* in flight, per connection */
    size_t max_bytes;      /* of their data */
    int64_t handshake_ns;  /* for all of the handshake */
    int64_t idle_ns;       /* between two requests; -1: for ever */
    int64_t stall_ns;      /* without a byte in the middle of a message */
    bool read_only;
    bool allow_remote;
    bool progress;
} Options;

/* An image and the name that clients ask for. Constant once the workers run. */
typedef struct Export {
    char name[256];
    AioFile
        *file; /* owned: holds the lock; belongs to the main context, and no I/O goes through it */
    uint64_t size;
    bool read_only;
} Export;

typedef struct Connection Connection;
typedef struct Server Server;

/* Written by the worker, read by the main thread while it runs: a moment old, never torn. */
typedef struct Statistics {
    _Atomic uint64_t requests;
    _Atomic uint64_t bytes_read;
    _Atomic uint64_t bytes_written;
    _Atomic uint64_t in_flight;
} Statistics;

typedef struct Worker {
    Server *server;
    char name[24];
    AioThread *thread; /* owned */
    AioContext *ctx;   /* a reference of its own, so that the counters can be read after the join */
    AioFile *files[MAX_EXPORTS]; /* owned; this context's own files over the exports' descriptors */
    AioBh *drain;                /* owned */
    Connection *connections;     /* linked */
    bool draining;
    bool opened;
    Statistics stats;
} Worker;

struct Server {
    Options options;
    AioContext *ctx;
    Export exports[MAX_EXPORTS];
    unsigned export_count;
    struct Listener *listeners[MAX_LISTENERS]; /* owned */
    unsigned listener_count;
    Worker *workers[MAX_WORKERS]; /* owned */
    unsigned worker_count;
    unsigned next_worker;
    unsigned next_id;
    _Atomic unsigned connections;
};

/* options.c: exits by itself on --help, --version and errors of usage. */
void options_parse(Options *options, int argc, char **argv);

/* export.c: false and an error. */
bool exports_open(Server *server, AioError **errp);
void exports_close(Server *server);
const Export *export_find(const Server *server, const uint8_t *name, size_t length);

/* listen.c */
bool listeners_open(Server *server, AioError **errp);
void listeners_close(Server *server);

/* worker.c */
bool workers_start(Server *server, AioError **errp);
void workers_drain(Server *server); /* returns once no connection is left */
void workers_join(Server *server);
void workers_free(Server *server);

/* report.c */
#if defined(__GNUC__)
__attribute__((format(printf, 1, 2)))
#endif
void log_line(const char *format, ...);
void progress_start(Server *server);
void progress_stop(Server *server);
bool counters_write(Server *server, AioError **errp);

/* Only the worker's own thread adds, so that a plain load and store do. */
static inline void stat_add(_Atomic uint64_t *stat, uint64_t n)
{
    atomic_store_explicit(stat, atomic_load_explicit(stat, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

#endif
