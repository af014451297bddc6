/*
 * The command line. Whatever is wrong with it is said in one line on standard error, with exit status 2.
 *
 * SPDX-License-Identifier: MIT
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"

static const char usage[] =
    "Usage: nbd-server [OPTION]... [NAME=]IMAGE...\n"
    "Serve raw disk images over NBD. Without a NAME, an image is the default export \"\".\n"
    "\n"
    "  -l, --listen=[ADDRESS:]PORT  listen on TCP; on loopback unless told otherwise\n"
    "  -l, --listen=PATH            listen on a Unix socket (a PATH contains a slash)\n"
    "                               (may be repeated; default: 127.0.0.1:10809)\n"
    "      --allow-remote           accept an ADDRESS other than loopback; there is no\n"
    "                               encryption and no authentication\n"
    "  -r, --read-only              refuse writes\n"
    "  -t, --threads=N              serve from N threads (1)\n"
    "      --poller=NAME            wait for events with this poller\n"
    "      --max-connections=N      at a time (64)\n"
    "      --max-requests=N         in flight, for each connection (128)\n"
    "      --max-bytes=SIZE         of data in flight, for each connection (32M)\n"
    "      --handshake-timeout=SEC  for the whole handshake (10)\n"
    "      --stall-timeout=SEC      for a message begun to go on (30)\n"
    "      --idle-timeout=SEC       between two requests (3600; 0: for ever)\n"
    "      --progress               show a line of live statistics on standard error\n"
    "      --counters=FILE          write the event loops' counters as JSON at exit (-: stdout)\n"
    "  -h, --help                   show this help\n"
    "  -V, --version                show the version\n"
    "\n"
    "SIGTERM and SIGINT end it once the requests in flight are answered; a second one at once.\n";

enum {
    OPT_REMOTE = 256,
    OPT_POLLER,
    OPT_CONNECTIONS,
    OPT_REQUESTS,
    OPT_BYTES,
    OPT_HANDSHAKE,
    OPT_STALL,
    OPT_IDLE,
    OPT_PROGRESS,
    OPT_COUNTERS,
};

static const struct option long_options[] = {
    {"listen", required_argument, NULL, 'l'},
    {"allow-remote", no_argument, NULL, OPT_REMOTE},
    {"read-only", no_argument, NULL, 'r'},
    {"threads", required_argument, NULL, 't'},
    {"poller", required_argument, NULL, OPT_POLLER},
    {"max-connections", required_argument, NULL, OPT_CONNECTIONS},
    {"max-requests", required_argument, NULL, OPT_REQUESTS},
    {"max-bytes", required_argument, NULL, OPT_BYTES},
    {"handshake-timeout", required_argument, NULL, OPT_HANDSHAKE},
    {"stall-timeout", required_argument, NULL, OPT_STALL},
    {"idle-timeout", required_argument, NULL, OPT_IDLE},
    {"progress", no_argument, NULL, OPT_PROGRESS},
    {"counters", required_argument, NULL, OPT_COUNTERS},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static _Noreturn void fail(const char *what, const char *value)
{
    fprintf(stderr, "nbd-server: %s: %s\nTry 'nbd-server --help'.\n", what, value);
    exit(2);
}

static unsigned long number(const char *what, const char *text, unsigned long max)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || value < 1 || value > max)
        fail(what, text);
    return value;
}

/* A number of bytes, with K, M or G after it. */
static size_t size(const char *what, const char *text)
{
    static const char units[] = "KMG";
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    const char *unit = *end ? strchr(units, *end) : NULL;
    if (unit) {
        for (const char *u = units; u <= unit && value < SIZE_MAX >> 10; u++)
            value <<= 10;
        end++;
    }
    if (text[0] < '0' || text[0] > '9' || *end || value < 4096 || value > SIZE_MAX >> 1)
        fail(what, text);
    return (size_t)value;
}

/* Seconds, perhaps with a fraction, as nanoseconds; 0 is for ever. */
static int64_t seconds(const char *what, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0 && value <= 1e9))
        fail(what, text);
    return value > 0 ? (int64_t)(value * 1e9) : -1;
}

static void add_listener(Options *options, const char *address)
{
    if (options->listeners == MAX_LISTENERS)
        fail("too many addresses", address);
    options->listen[options->listeners++] = address;
}

static void apply(Options *options, int option, const char *arg)
{
    switch (option) {
    case 'l':
        add_listener(options, arg);
        break;
    case OPT_REMOTE:
        options->allow_remote = true;
        break;
    case 'r':
        options->read_only = true;
        break;
    case 't':
        options->threads = (unsigned)number("threads", arg, MAX_WORKERS);
        break;
    case OPT_POLLER:
        options->poller = arg;
        break;
    case OPT_CONNECTIONS:
        options->max_connections = (unsigned)number("max-connections", arg, 100000);
        break;
    case OPT_REQUESTS:
        options->max_requests = (unsigned)number("max-requests", arg, 100000);
        break;
    case OPT_BYTES:
        options->max_bytes = size("max-bytes", arg);
        break;
    case OPT_HANDSHAKE:
        options->handshake_ns = seconds("handshake-timeout", arg);
        break;
    case OPT_STALL:
        options->stall_ns = seconds("stall-timeout", arg);
        break;
    case OPT_IDLE:
        options->idle_ns = seconds("idle-timeout", arg);
        break;
    case OPT_PROGRESS:
        options->progress = true;
        break;
    case OPT_COUNTERS:
        options->counters = arg;
        break;
    case 'h':
        fputs(usage, stdout);
        exit(0);
    case 'V':
        printf("nbd-server, an example of aioctx %s\n", aio_version_string());
        exit(0);
    default:
        fputs("Try 'nbd-server --help'.\n", stderr);
        exit(2);
    }
}

void options_parse(Options *options, int argc, char **argv)
{
    *options = (Options){
        .threads = 1,
        .max_connections = 64,
        .max_requests = 128,
        .max_bytes = 32 * 1024 * 1024,
        .handshake_ns = INT64_C(10) * AIO_SCALE_S,
        .stall_ns = INT64_C(30) * AIO_SCALE_S,
        .idle_ns = INT64_C(3600) * AIO_SCALE_S,
    };
    int option;
    while ((option = getopt_long(argc, argv, "l:rt:hV", long_options, NULL)) != -1)
        apply(options, option, optarg);
    if (optind == argc)
        fail("no image given", "nothing to serve");
    for (; optind < argc; optind++) {
        if (options->exports == MAX_EXPORTS)
            fail("too many images", argv[optind]);
        options->images[options->exports++] = argv[optind];
    }
    if (!options->listeners)
        add_listener(options, "127.0.0.1:10809");
}
