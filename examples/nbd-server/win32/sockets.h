/*
 * The sockets of Windows.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NBD_SERVER_SOCKETS_H
#define NBD_SERVER_SOCKETS_H

#include <winsock2.h>
#include <ws2tcpip.h>

typedef SOCKET SystemSocket;

#endif
