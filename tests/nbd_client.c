/*
 * Starts nbd-server and talks to it over raw sockets. What a test expects is checked here with CMocka's
 * assertions, all on the test's own thread; the server is another process, which nbd_teardown() ends whatever
 * happened.
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L
#include "tests/nbd_client.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_ARGS = 32, MAX_PROCESSES = 8, PATIENCE_MS = 20000 };

extern char **environ;

uint8_t nbd_expected[NBD_IMAGE_SIZE];

static char directory[64];
static pid_t processes[MAX_PROCESSES]; /* not waited for yet; 0: free */
static int bystander = -1;

bool nbd_is_windows(void)
{
    return getenv("AIOCTX_NBD_WINE") != NULL;
}

void nbd_not_on_windows(const char *reason)
{
    char text[256];
    snprintf(text, sizeof(text), "nbd-server.exe: %s", reason);
    if (nbd_is_windows())
        fixture_skip(text);
}

const char *nbd_path(const char *name)
{
    static char paths[8][128];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
    return path;
}

static void write_image(void)
{
    uint32_t x = 1;
    for (size_t i = 0; i < NBD_IMAGE_SIZE; i++) {
        x = x * 1664525 + 1013904223;
        nbd_expected[i] = (uint8_t)(x >> 24);
    }
    FILE *file = fopen(nbd_path("image"), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(nbd_expected, 1, NBD_IMAGE_SIZE, file), NBD_IMAGE_SIZE);
    fclose(file);
}

int nbd_setup(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    snprintf(directory, sizeof(directory), "%s/aioctx-nbd-XXXXXX",
             tmp && strlen(tmp) < 32 ? tmp : "/tmp");
    if (!mkdtemp(directory))
        return -1;
    write_image();
    return 0;
}

int nbd_teardown(void **state)
{
    static const char *const files[] = {"image", "socket",   "log",
                                        "other", "counters", NBD_WIDE_NAME};
    (void)state;
    if (bystander >= 0)
        close(bystander);
    bystander = -1;
    for (int i = 0; i < MAX_PROCESSES; i++) {
        if (!processes[i])
            continue;
        kill(processes[i], SIGKILL);
        waitpid(processes[i], NULL, 0);
        processes[i] = 0;
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        unlink(nbd_path(files[i]));
    return rmdir(directory);
}

pid_t nbd_spawn(const char *const *args)
{
    const char *wine = getenv("AIOCTX_NBD_WINE"), *exe = getenv("AIOCTX_NBD_EXE");
    char *argv[MAX_ARGS + 2] = {(char *)(uintptr_t)(wine ? wine : NBD_SERVER),
                                (char *)(uintptr_t)exe};
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;
    int slot = 0, first = wine ? 2 : 1;
    for (int i = 0; i < MAX_ARGS - 1 && args[i]; i++)
        argv[i + first] = (char *)(uintptr_t)args[i];
    while (slot < MAX_PROCESSES && processes[slot])
        slot++;
    assert_true(slot < MAX_PROCESSES);

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, nbd_path("log"), O_CREAT | O_WRONLY | O_APPEND,
                                     0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    int err = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(err, 0);
    processes[slot] = pid;
    return pid;
}

void nbd_stop(pid_t pid)
{
    kill(pid, nbd_is_windows() ? SIGINT : SIGTERM);
}

int nbd_wait(pid_t pid)
{
    int status;
    for (int ms = 0; ms < PATIENCE_MS; ms += 5) {
        pid_t got = waitpid(pid, &status, WNOHANG);
        assert_true(got >= 0);
        if (got == pid) {
            for (int i = 0; i < MAX_PROCESSES; i++) {
                if (processes[i] == pid)
                    processes[i] = 0;
            }
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        fixture_sleep_ms(5);
    }
    fail_msg("the server did not end");
    return -1;
}

unsigned nbd_log_count(const char *text)
{
    char line[1024];
    unsigned count = 0;
    FILE *file = fopen(nbd_path("log"), "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof(line), file))
        count += strstr(line, text) != NULL;
    fclose(file);
    return count;
}

bool nbd_log_has(const char *text)
{
    for (int ms = 0; ms < PATIENCE_MS; ms += 5) {
        if (nbd_log_count(text))
            return true;
        fixture_sleep_ms(5);
    }
    return false;
}

pid_t nbd_start_image(const char *image, ...)
{
    const char *args[MAX_ARGS] = {"--listen", nbd_is_windows() ? "0" : nbd_path("socket")};
    int n = 2;
    if (fixture_poller()) {
        args[n++] = "--poller";
        args[n++] = fixture_poller();
    }
    va_list more;
    va_start(more, image);
    const char *arg;
    while (n < MAX_ARGS - 2 && (arg = va_arg(more, const char *)))
        args[n++] = arg;
    va_end(more);
    args[n++] = image;
    pid_t pid = nbd_spawn(args);
    assert_true(nbd_log_has("listening on"));
    bystander = nbd_ready();
    return pid;
}

void nbd_finish(pid_t pid)
{
    int fd = nbd_ready();
    nbd_expect_image(bystander);
    nbd_expect_image(fd);
    close(fd);
    close(bystander);
    bystander = -1;
    nbd_stop(pid);
    assert_int_equal(nbd_wait(pid), 0);

    static uint8_t data[NBD_IMAGE_SIZE];
    FILE *file = fopen(nbd_path("image"), "r");
    assert_non_null(file);
    assert_int_equal(fread(data, 1, sizeof(data), file), sizeof(data));
    fclose(file);
    assert_memory_equal(data, nbd_expected, sizeof(data));
}

int nbd_take_bystander(void)
{
    int fd = bystander;
    bystander = -1;
    return fd;
}

static int connect_with(int family, const void *address, socklen_t length)
{
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    int fd = socket(family, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    assert_int_equal(connect(fd, address, length), 0);
    return fd;
}

int nbd_connect_tcp(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    char line[256];
    unsigned port = 0;
    FILE *log = fopen(nbd_path("log"), "r");
    assert_non_null(log);
    while (fgets(line, sizeof(line), log) && sscanf(line, "listening on 127.0.0.1:%u", &port) != 1)
        ;
    fclose(log);
    address.sin_port = htons((uint16_t)port);
    return connect_with(AF_INET, &address, sizeof(address));
}

int nbd_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (nbd_is_windows())
        return nbd_connect_tcp();
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", nbd_path("socket"));
    return connect_with(AF_UNIX, &address, sizeof(address));
}

void nbd_send(int fd, const void *data, size_t size)
{
    const char *p = data;
    while (size) {
        ssize_t n = send(fd, p, size, MSG_NOSIGNAL);
        if (n < 0)
            fail_msg("send: %s", strerror(errno));
        p += n;
        size -= (size_t)n;
    }
}

void nbd_recv(int fd, void *data, size_t size)
{
    char *p = data;
    while (size) {
        ssize_t n = recv(fd, p, size, 0);
        if (n <= 0)
            fail_msg("recv: %s", n ? strerror(errno) : "the server closed the connection");
        p += n;
        size -= (size_t)n;
    }
}

void nbd_expect_closed(int fd)
{
    char waste[65536];
    ssize_t n;
    while ((n = recv(fd, waste, sizeof(waste), 0)) > 0)
        ;
    if (n < 0 && errno != ECONNRESET)
        fail_msg("not closed: %s", strerror(errno));
    close(fd);
}

int nbd_greeted(void)
{
    uint8_t p[18];
    int fd = nbd_connect();
    nbd_recv(fd, p, sizeof(p));
    assert_true(nbd_get64(p) == NBD_MAGIC && nbd_get64(p + 8) == NBD_OPTION_MAGIC);
    assert_int_equal(nbd_get16(p + 16), NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
    nbd_put32(p, NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
    nbd_send(fd, p, 4);
    return fd;
}

void nbd_option(int fd, uint32_t option, const void *data, size_t size)
{
    uint8_t p[NBD_OPTION_SIZE];
    nbd_put32(nbd_put32(nbd_put64(p, NBD_OPTION_MAGIC), option), (uint32_t)size);
    nbd_send(fd, p, sizeof(p));
    nbd_send(fd, data, size);
}

/* Receive `length` bytes, of which the first go to `data`. */
static void recv_cut(int fd, void *data, size_t size, size_t length)
{
    char waste[4096];
    size_t n = length < size ? length : size;
    nbd_recv(fd, data, n);
    for (length -= n; length; length -= n) {
        n = length < sizeof(waste) ? length : sizeof(waste);
        nbd_recv(fd, waste, n);
    }
}

uint32_t nbd_option_reply(int fd, uint32_t option, void *data, size_t size, size_t *length)
{
    uint8_t p[NBD_OPTION_REPLY_SIZE];
    nbd_recv(fd, p, sizeof(p));
    assert_true(nbd_get64(p) == NBD_OPTION_REPLY_MAGIC);
    assert_int_equal(nbd_get32(p + 8), option);
    *length = nbd_get32(p + 16);
    recv_cut(fd, data, size, *length);
    return nbd_get32(p + 12);
}

uint32_t nbd_option_result(int fd, uint32_t option)
{
    size_t length;
    uint32_t type;
    do
        type = nbd_option_reply(fd, option, NULL, 0, &length);
    while (type != NBD_REP_ACK && !(type >> 31));
    return type;
}

size_t nbd_put_name(uint8_t *p, const char *name)
{
    memcpy(nbd_put32(p, (uint32_t)strlen(name)), name, strlen(name));
    return 4 + strlen(name);
}

uint16_t nbd_go(int fd, const char *name)
{
    uint8_t p[512], info[12];
    size_t length, size = nbd_put_name(p, name);
    nbd_put16(p + size, 0);
    nbd_option(fd, NBD_OPT_GO, p, size + 2);
    assert_int_equal(nbd_option_reply(fd, NBD_OPT_GO, info, sizeof(info), &length), NBD_REP_INFO);
    assert_int_equal(length, sizeof(info));
    assert_int_equal(nbd_get16(info), NBD_INFO_EXPORT);
    assert_int_equal(nbd_get64(info + 2), NBD_IMAGE_SIZE);
    assert_int_equal(nbd_option_result(fd, NBD_OPT_GO), NBD_REP_ACK);
    return nbd_get16(info + 10);
}

int nbd_ready(void)
{
    int fd = nbd_greeted();
    nbd_go(fd, "");
    return fd;
}

int nbd_ready_structured(bool with_status)
{
    uint8_t p[64];
    int fd = nbd_greeted();
    nbd_option(fd, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    assert_int_equal(nbd_option_result(fd, NBD_OPT_STRUCTURED_REPLY), NBD_REP_ACK);
    if (with_status) {
        size_t size = nbd_put_name(p, "");
        nbd_put32(p + size, 1);
        size += 4 + nbd_put_name(p + size + 4, "base:allocation");
        nbd_option(fd, NBD_OPT_SET_META_CONTEXT, p, size);
        assert_int_equal(nbd_option_result(fd, NBD_OPT_SET_META_CONTEXT), NBD_REP_ACK);
    }
    assert_true(nbd_go(fd, "") & NBD_FLAG_SEND_DF);
    return fd;
}

void nbd_request(int fd, uint16_t flags, uint16_t type, uint64_t cookie, uint64_t offset,
                 uint32_t length)
{
    uint8_t p[NBD_REQUEST_SIZE];
    nbd_put16(nbd_put16(nbd_put32(p, NBD_REQUEST_MAGIC), flags), type);
    nbd_put32(nbd_put64(nbd_put64(p + 8, cookie), offset), length);
    nbd_send(fd, p, sizeof(p));
}

uint32_t nbd_reply(int fd, uint64_t cookie)
{
    uint8_t p[NBD_SIMPLE_REPLY_SIZE];
    nbd_recv(fd, p, sizeof(p));
    assert_int_equal(nbd_get32(p), NBD_SIMPLE_REPLY_MAGIC);
    assert_true(nbd_get64(p + 8) == cookie);
    return nbd_get32(p + 4);
}

uint32_t nbd_write(int fd, uint16_t flags, uint64_t offset, const void *data, uint32_t length)
{
    nbd_request(fd, flags, NBD_CMD_WRITE, 7, offset, length);
    nbd_send(fd, data, length);
    return nbd_reply(fd, 7);
}

uint32_t nbd_read(int fd, uint64_t offset, void *data, uint32_t length)
{
    nbd_request(fd, 0, NBD_CMD_READ, 8, offset, length);
    uint32_t err = nbd_reply(fd, 8);
    if (!err)
        nbd_recv(fd, data, length);
    return err;
}

uint16_t nbd_chunk(int fd, uint64_t cookie, void *data, size_t size, size_t *length)
{
    uint8_t p[NBD_CHUNK_SIZE];
    nbd_recv(fd, p, sizeof(p));
    assert_int_equal(nbd_get32(p), NBD_CHUNK_MAGIC);
    assert_int_equal(nbd_get16(p + 4), NBD_CHUNK_DONE);
    assert_true(nbd_get64(p + 8) == cookie);
    *length = nbd_get32(p + 16);
    recv_cut(fd, data, size, *length);
    return nbd_get16(p + 6);
}

void nbd_expect_image(int fd)
{
    static uint8_t data[NBD_IMAGE_SIZE];
    assert_int_equal(nbd_read(fd, 0, data, sizeof(data)), 0);
    assert_memory_equal(data, nbd_expected, sizeof(data));
}
