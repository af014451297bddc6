/*
 * The sockets of POSIX.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NBD_SERVER_SOCKETS_H
#define NBD_SERVER_SOCKETS_H

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

typedef int SystemSocket;

#endif
