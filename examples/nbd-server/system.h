/*
 * What differs between systems, for the rest of the server: posix/ and win32/ each have a system.c, and a sockets.h
 * with the system's own declarations for address.c. CMake chooses.
 *
 * Errors are negative errno values, those of sockets too.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NBD_SERVER_SYSTEM_H
#define NBD_SERVER_SYSTEM_H

#include <stdio.h>

#include <aioctx/aioctx.h>

/* Before all others. Returns the command line with its arguments in UTF-8, as the library wants its paths. */
char **system_start(int *argc, char **argv);

/*
 * Call stop() at the first request to end (SIGTERM, SIGINT; on Windows Ctrl-C, the console's end and the like) and end
 * the program with status 1 at the second. stop() is called in a signal handler or in a thread of its own.
 */
void system_on_stop(void (*stop)(void));

/* Whether standard error is a terminal that knows escape sequences. */
bool system_has_terminal(void);

FILE *system_create(const char *path); /* NULL and errno */
const char *system_error_text(int err);
extern const char system_separators[]; /* what may stand between the parts of a path */

/* Have the system read ahead. Blocks. */
int system_prefetch(AioHandle file, int64_t offset, int64_t length);

/* Sockets. All that are made or accepted must be prepared: then they don't block, and no other program gets them. */
int system_socket_error(void); /* of the last call that failed in this thread */
int system_socket_prepare(AioHandle sock);
int system_socket_own_port(
    AioHandle sock); /* before bind(): a port whose last user ended, and nobody else's */
int64_t system_socket_recv(AioHandle sock, const AioIoVec *iov, int iovcnt);
int64_t system_socket_send(AioHandle sock, const AioIoVec *iov, int iovcnt);
int system_socket_shutdown(AioHandle sock, bool both); /* or sending only */
void system_socket_close(AioHandle sock);

/* A Unix socket in the file system, so that its owner removes this one, and no other that took its place. */
typedef struct SystemNode {
    uint64_t device;
    uint64_t number;
} SystemNode;

/* Listen on a Unix socket for its owner only. False and an error. */
bool system_unix_listen(const char *path, AioHandle *sock, SystemNode *node, AioError **errp);
void system_unix_remove(const char *path, const SystemNode *node);

enum { SYSTEM_BACKLOG = 128, SYSTEM_MAX_IOV = 4 };

#endif
