/*
 * Listening sockets, inside of listen.c and address.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NBD_SERVER_LISTEN_H
#define NBD_SERVER_LISTEN_H

#include <sys/stat.h>

#include "server.h"

typedef struct Listener {
    Server *server; /* borrowed */
    int fd;         /* owned */
    AioTimer retry; /* armed while descriptors have run out */
    char name[128]; /* address and port, or path */
    bool is_unix;
    struct stat node; /* of a Unix socket: to remove this one, and no other that took its place */
} Listener;

/* address.c: a bound, listening, non-blocking socket in *listener. False and an error. */
bool address_open_tcp(Listener *listener, const char *address, bool allow_remote, AioError **errp);
bool address_open_unix(Listener *listener, const char *path, AioError **errp);

int address_set_nonblocking(int fd);

#endif
