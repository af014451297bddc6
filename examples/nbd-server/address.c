/*
 * Addresses to listen on. TCP stays on loopback unless that is switched off. A Unix socket is for its owner only (mode
 * 0600); one that a dead server left behind is replaced, one with a living server behind it, or a file of another
 * kind, is not touched.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "listen.h"
#include "nbd.h"

enum { BACKLOG = 128 };

int address_set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC))
        return -errno;
    return 0;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof(in));
        return ntohl(in.sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof(in6));
        return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
    }
    return false;
}

static bool is_port(const char *text)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && !*end &&
           port <= 65535; /* getaddrinfo() takes more */
}

/* Split [ADDRESS:]PORT; an IPv6 address may stand in brackets. */
static bool split(const char *text, char *host, size_t size, const char **port)
{
    const char *colon = strrchr(text, ':');
    if (!colon) {
        snprintf(host, size, "127.0.0.1");
        *port = text;
        return is_port(text);
    }
    size_t length = (size_t)(colon - text);
    if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    }
    if (length == 0 || length >= size)
        return false;
    memcpy(host, text, length);
    host[length] = '\0';
    *port = colon + 1;
    return is_port(colon + 1);
}

static int open_socket(const struct addrinfo *info)
{
    int on = 1;
    int fd = socket(info->ai_family, info->ai_socktype, info->ai_protocol);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
        bind(fd, info->ai_addr, info->ai_addrlen) || listen(fd, BACKLOG)) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

/* The name with the port that the system chose. */
static void name_tcp(Listener *listener)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    char host[64] = "?", port[16] = "?";
    if (getsockname(listener->fd, (struct sockaddr *)&address, &length) == 0)
        getnameinfo((struct sockaddr *)&address, length, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(listener->name, sizeof(listener->name), strchr(host, ':') ? "[%s]:%s" : "%s:%s", host,
             port);
}

bool address_open_tcp(Listener *listener, const char *address, bool allow_remote, AioError **errp)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *info;
    char host[256];
    const char *port;
    if (!split(address, host, sizeof(host), &port)) {
        aio_error_set(errp, EINVAL, "%s: not [ADDRESS:]PORT", address);
        return false;
    }
    int failed = getaddrinfo(host, port, &hints, &info);
    if (failed) {
        aio_error_set(errp, EINVAL, "%s: %s", address, gai_strerror(failed));
        return false;
    }
    bool loopback = is_loopback(info->ai_addr);
    int fd = loopback || allow_remote ? open_socket(info) : -EPERM;
    freeaddrinfo(info);
    if (fd < 0) {
        aio_error_set(errp, -fd, "%s: %s", address,
                      fd == -EPERM ? "not loopback; see --allow-remote" : strerror(-fd));
        return false;
    }
    listener->fd = fd;
    name_tcp(listener);
    if (!loopback)
        log_line("warning: %s is open to others, without encryption and authentication",
                 listener->name);
    return true;
}

/* Whether `path` is a socket that nobody listens on. */
static bool is_stale(const struct sockaddr_un *address)
{
    struct stat node;
    if (lstat(address->sun_path, &node) || !S_ISSOCK(node.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        return false;
    /* Non-blocking: a living server with a full backlog says EAGAIN, and must not hold us up. */
    address_set_nonblocking(fd);
    int failed = connect(fd, (const struct sockaddr *)address, sizeof(*address));
    bool stale = failed && errno == ECONNREFUSED;
    close(fd);
    return stale;
}

static int bind_private(int fd, const struct sockaddr_un *address)
{
    mode_t old = umask(0177);
    int failed = bind(fd, (const struct sockaddr *)address, sizeof(*address));
    int err = failed ? -errno : 0;
    umask(old);
    return err;
}

bool address_open_unix(Listener *listener, const char *path, AioError **errp)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path) || strlen(path) >= sizeof(listener->name)) {
        aio_error_set(errp, ENAMETOOLONG, "%s: too long for a socket", path);
        return false;
    }
    memcpy(address.sun_path, path, strlen(path));
    memcpy(listener->name, path, strlen(path));

    int err = 0;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0) {
        err = -errno;
        goto failed;
    }
    err = bind_private(fd, &address);
    if (err == -EADDRINUSE && is_stale(&address) && unlink(path) == 0)
        err = bind_private(fd, &address);
    if (err)
        goto close_socket;
    if (listen(fd, BACKLOG) || lstat(path, &listener->node)) {
        err = -errno;
        unlink(path);
        goto close_socket;
    }
    listener->fd = fd;
    listener->is_unix = true;
    return true;

close_socket:
    close(fd);
failed:
    aio_error_set(errp, -err, "%s: %s", path, strerror(-err));
    return false;
}
