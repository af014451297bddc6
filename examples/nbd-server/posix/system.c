/*
 * The system's part of the server on POSIX. A Unix socket is for its owner only (mode 0600); one that a dead server left
 * behind is replaced, one with a living server behind it, or a file of another kind, is not touched.
 *
 * SPDX-License-Identifier: MIT
 */
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "sockets.h"

const char system_separators[] = "/";

char **system_start(int *argc, char **argv)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)argc;
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGPIPE, &ignore, NULL); /* of the log; sockets use MSG_NOSIGNAL */
    return argv;
}

static void (*on_stop)(void);

static void on_signal(int number)
{
    static atomic_flag again = ATOMIC_FLAG_INIT;
    (void)number;
    if (atomic_flag_test_and_set(&again))
        _exit(1);
    on_stop();
}

void system_on_stop(void (*stop)(void))
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    on_stop = stop;
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

bool system_has_terminal(void)
{
    return isatty(STDERR_FILENO);
}

FILE *system_create(const char *path)
{
    return fopen(path, "w");
}

const char *system_error_text(int err)
{
    return strerror(-err);
}

int system_prefetch(AioHandle file, int64_t offset, int64_t length)
{
    return -posix_fadvise((int)file, (off_t)offset, (off_t)length, POSIX_FADV_WILLNEED);
}

int system_socket_error(void)
{
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

int system_socket_prepare(AioHandle sock)
{
    int fd = (int)sock;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC))
        return -errno;
    return 0;
}

int system_socket_own_port(AioHandle sock)
{
    int on = 1;
    return setsockopt((int)sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ? -errno : 0;
}

static struct msghdr message(struct iovec *pieces, const AioIoVec *iov, int iovcnt)
{
    int n = iovcnt < SYSTEM_MAX_IOV ? iovcnt : SYSTEM_MAX_IOV;
    for (int i = 0; i < n; i++)
        pieces[i] = (struct iovec){.iov_base = iov[i].base, .iov_len = iov[i].len};
    return (struct msghdr){.msg_iov = pieces, .msg_iovlen = (size_t)n};
}

int64_t system_socket_recv(AioHandle sock, const AioIoVec *iov, int iovcnt)
{
    struct iovec pieces[SYSTEM_MAX_IOV];
    struct msghdr msg = message(pieces, iov, iovcnt);
    ssize_t n = recvmsg((int)sock, &msg, 0);
    return n < 0 ? system_socket_error() : n;
}

int64_t system_socket_send(AioHandle sock, const AioIoVec *iov, int iovcnt)
{
    struct iovec pieces[SYSTEM_MAX_IOV];
    struct msghdr msg = message(pieces, iov, iovcnt);
    ssize_t n = sendmsg((int)sock, &msg, MSG_NOSIGNAL);
    return n < 0 ? system_socket_error() : n;
}

int system_socket_shutdown(AioHandle sock, bool both)
{
    return shutdown((int)sock, both ? SHUT_RDWR : SHUT_WR) ? -errno : 0;
}

void system_socket_close(AioHandle sock)
{
    close((int)sock);
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
    system_socket_prepare(fd);
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

bool system_unix_listen(const char *path, AioHandle *sock, SystemNode *node, AioError **errp)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat facts;
    if (strlen(path) >= sizeof(address.sun_path)) {
        aio_error_set(errp, ENAMETOOLONG, "%s: too long for a socket", path);
        return false;
    }
    memcpy(address.sun_path, path, strlen(path));

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
    if (listen(fd, SYSTEM_BACKLOG) || lstat(path, &facts)) {
        err = -errno;
        unlink(path);
        goto close_socket;
    }
    *node = (SystemNode){.device = facts.st_dev, .number = facts.st_ino};
    *sock = fd;
    return true;

close_socket:
    close(fd);
failed:
    aio_error_set(errp, -err, "%s: %s", path, strerror(-err));
    return false;
}

void system_unix_remove(const char *path, const SystemNode *node)
{
    struct stat facts;
    if (lstat(path, &facts) == 0 && facts.st_dev == node->device && facts.st_ino == node->number)
        unlink(path);
}
