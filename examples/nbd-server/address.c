/*
 * Addresses: listening on them, and accepting clients there. TCP stays on loopback unless that is switched off. These
 * functions of sockets have the same names on all systems; what has not is system.h's.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "listen.h"
#include "nbd.h"
#include "sockets.h"

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

static int open_socket(const struct addrinfo *info, AioHandle *handle)
{
    SystemSocket sock = socket(info->ai_family, info->ai_socktype, info->ai_protocol);
    *handle = (AioHandle)sock;
    if (*handle == AIO_HANDLE_NONE)
        return system_socket_error();
    int err = system_socket_own_port(*handle);
    if (!err &&
        (bind(sock, info->ai_addr, (socklen_t)info->ai_addrlen) || listen(sock, SYSTEM_BACKLOG)))
        err = system_socket_error();
    if (err)
        system_socket_close(*handle);
    return err;
}

static void name_address(const struct sockaddr *address, socklen_t length, char *name, size_t size)
{
    char host[64] = "?", port[16] = "?";
    getnameinfo(address, length, host, sizeof(host), port, sizeof(port),
                NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(name, size, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

/* The name with the port that the system chose. */
static void name_tcp(Listener *listener)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    if (getsockname((SystemSocket)listener->sock, (struct sockaddr *)&address, &length))
        length = 0; /* which has no name */
    name_address((struct sockaddr *)&address, length, listener->name, sizeof(listener->name));
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
    int err = loopback || allow_remote ? open_socket(info, &listener->sock) : -EPERM;
    freeaddrinfo(info);
    if (err) {
        aio_error_set(errp, -err, "%s: %s", address,
                      err == -EPERM ? "not loopback; see --allow-remote" : system_error_text(err));
        return false;
    }
    name_tcp(listener);
    if (!loopback)
        log_line("warning: %s is open to others, without encryption and authentication",
                 listener->name);
    return true;
}

bool address_open_unix(Listener *listener, const char *path, AioError **errp)
{
    if (strlen(path) >= sizeof(listener->name)) {
        aio_error_set(errp, ENAMETOOLONG, "%s: too long for a socket", path);
        return false;
    }
    memcpy(listener->name, path, strlen(path) + 1);
    listener->is_unix = true;
    return system_unix_listen(path, &listener->sock, &listener->node, errp);
}

static void prepare_tcp(SystemSocket sock)
{
    /* Replies are whole messages: waiting to fill a packet only delays them. Keep-alive finds dead peers. */
    int on = 1;
    setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, (const void *)&on, sizeof(on));
    setsockopt(sock, SOL_SOCKET, SO_KEEPALIVE, (const void *)&on, sizeof(on));
}

int address_accept(const Listener *listener, AioHandle *handle, char *peer, size_t size)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    SystemSocket sock = accept((SystemSocket)listener->sock, (struct sockaddr *)&address, &length);
    *handle = (AioHandle)sock;
    if (*handle == AIO_HANDLE_NONE)
        return system_socket_error();
    if (listener->is_unix) {
        snprintf(peer, size, "unix");
    } else {
        name_address((struct sockaddr *)&address, length, peer, size);
        prepare_tcp(sock);
    }
    return 0;
}
