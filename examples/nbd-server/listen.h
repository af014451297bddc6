/*
 * Listening sockets, inside of listen.c and address.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NBD_SERVER_LISTEN_H
#define NBD_SERVER_LISTEN_H

#include "server.h"
#include "system.h"

typedef struct Listener {
    Server *server; /* borrowed */
    AioHandle sock; /* owned */
    AioTimer retry; /* armed while descriptors have run out */
    char name[128]; /* address and port, or path */
    bool is_unix;
    SystemNode node; /* of a Unix socket */
} Listener;

/* address.c: a bound, listening socket in *listener. False and an error. */
bool address_open_tcp(Listener *listener, const char *address, bool allow_remote, AioError **errp);
bool address_open_unix(Listener *listener, const char *path, AioError **errp);

/* Accept a client, and say who it is. 0 or a negative errno value, -EAGAIN where nobody is there. */
int address_accept(const Listener *listener, AioHandle *sock, char *peer, size_t size);

#endif
