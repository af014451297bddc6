/*
 * nbd-server as a program: its limits and time-outs, sockets and locks, the command line, and its end.
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L
#include "tests/nbd_client.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* Silence and greed */

static void silence_in_the_handshake_times_out(void **state)
{
    uint8_t option[NBD_OPTION_SIZE];
    (void)state;
    pid_t pid = nbd_start("--handshake-timeout=0.3", NULL);
    int silent = nbd_connect(), half = nbd_greeted();
    nbd_put32(nbd_put32(nbd_put64(option, NBD_OPTION_MAGIC), NBD_OPT_GO), 100);
    nbd_send(half, option, sizeof(option));
    nbd_send(half, "half", 4);
    nbd_expect_closed(silent);
    nbd_expect_closed(half);
    nbd_finish(pid);
    assert_int_equal(nbd_log_count("timed out in the handshake"), 2);
}

static void endless_haggling_times_out(void **state)
{
    uint8_t p[65536];
    (void)state;
    pid_t pid = nbd_start("--handshake-timeout=0.3", NULL);
    int fd = nbd_greeted();
    for (size_t i = 0; i < sizeof(p); i += NBD_OPTION_SIZE)
        nbd_put32(nbd_put32(nbd_put64(p + i, NBD_OPTION_MAGIC), NBD_OPT_LIST), 0);
    /* One that asks and asks, and reads no answer. */
    while (send(fd, p, sizeof(p), MSG_NOSIGNAL) > 0)
        ;
    nbd_expect_closed(fd);
    nbd_finish(pid);
    assert_int_equal(nbd_log_count("client 2"), 1);
}

static void options_are_bounded_in_number(void **state)
{
    (void)state;
    pid_t pid = nbd_start(NULL);
    int fd = nbd_greeted(), other = nbd_greeted();
    for (int i = 0; i < 1000; i++) {
        nbd_option(fd, NBD_OPT_LIST, NULL, 0);
        assert_int_equal(nbd_option_result(fd, NBD_OPT_LIST), NBD_REP_ACK);
    }
    nbd_expect_closed(fd);
    nbd_go(other, "");
    close(other);
    nbd_finish(pid);
    assert_int_equal(nbd_log_count("haggles without end"), 1);
}

static void half_a_request_then_silence_times_out(void **state)
{
    char data[4096];
    (void)state;
    pid_t pid = nbd_start("--stall-timeout=0.3", NULL);
    int head = nbd_ready(), payload = nbd_ready();
    memset(data, 'x', sizeof(data));
    nbd_send(head, "\x25\x60\x95\x13\0", 5);
    nbd_request(payload, 0, NBD_CMD_WRITE, 1, 0, 8192);
    nbd_send(payload, data, sizeof(data)); /* must not reach the image */
    nbd_expect_closed(head);
    nbd_expect_closed(payload);
    nbd_finish(pid);
    assert_int_equal(nbd_log_count("timed out in the middle of a message"), 2);
}

static void half_a_request_then_the_end_changes_nothing(void **state)
{
    char data[4096];
    (void)state;
    pid_t pid = nbd_start(NULL);
    int fd = nbd_ready();
    memset(data, 'x', sizeof(data));
    nbd_request(fd, 0, NBD_CMD_WRITE, 1, 0, 8192);
    nbd_send(fd, data, sizeof(data));
    close(fd);
    assert_true(nbd_log_has("left in the middle of a message"));
    nbd_finish(pid);
}

static void idle_client_is_closed_where_asked_for(void **state)
{
    (void)state;
    pid_t pid = nbd_start("--idle-timeout=4", NULL);
    int fd = nbd_ready();
    for (int i = 0; i < 3; i++) {
        fixture_sleep_ms(1500); /* 4.5 s in all, each far below the limit on a busy machine */
        nbd_expect_image(fd);   /* not idle: it stays */
    }
    nbd_expect_closed(fd);
    assert_true(nbd_log_has("timed out while idle"));
    nbd_stop(pid);
    assert_int_equal(nbd_wait(pid), 0);
}

/* Ask for much and read nothing until the server takes no more. Returns how many requests it took. */
static unsigned ask_without_reading(int fd)
{
    struct timeval patience = {.tv_usec = 300000};
    uint8_t p[NBD_REQUEST_SIZE];
    unsigned count = 0;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    nbd_put16(nbd_put16(nbd_put32(p, NBD_REQUEST_MAGIC), 0), NBD_CMD_READ);
    nbd_put32(nbd_put64(nbd_put64(p + 8, 1), 0), 65536);
    while (count < 1000000 && send(fd, p, sizeof(p), MSG_NOSIGNAL) == sizeof(p))
        count++;
    return count;
}

static void client_that_never_reads_is_held_back_then_closed(void **state)
{
    (void)state;
    pid_t pid = nbd_start("--stall-timeout=2", "--max-bytes=1M", NULL);
    int fd = nbd_ready();
    /* What fits into the sockets' buffers, which are large and grow for TCP. */
    assert_in_range(ask_without_reading(fd), 1, nbd_is_windows() ? 999999 : 3000);
    assert_true(nbd_log_has("does not read"));
    nbd_expect_closed(fd);
    nbd_finish(pid);
    assert_int_equal(nbd_log_count("client 2"), 1);
}

static void too_many_connections_are_turned_away(void **state)
{
    (void)state;
    pid_t pid = nbd_start("--max-connections=3", NULL);
    int a = nbd_ready(), b = nbd_ready();
    nbd_expect_closed(nbd_connect());
    assert_true(nbd_log_has("turned away"));
    nbd_request(a, 0, NBD_CMD_DISC, 0, 0, 0);
    nbd_expect_closed(a); /* its place is free a moment later */
    for (int i = 0; i < 1000; i++) {
        uint8_t p[18];
        a = nbd_connect();
        if (recv(a, p, sizeof(p), MSG_WAITALL) == sizeof(p))
            break;
        close(a);
        fixture_sleep_ms(5);
    }
    nbd_send(a, "\0\0\0\3", 4);
    nbd_go(a, "");
    close(a);
    close(b);
    fixture_sleep_ms(50); /* nbd_finish() needs one, too */
    nbd_finish(pid);
}

static void accepting_pauses_while_descriptors_run_out(void **state)
{
    enum { CLIENTS = 16, LIMIT = 20 };
    struct rlimit before, low;
    int fds[CLIENTS];
    uint8_t p[18];
    (void)state;
    nbd_not_on_windows("Wine has its handles from another process");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = (struct rlimit){.rlim_cur = LIMIT, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &low); /* inherited by the server */
    pid_t pid = nbd_start(NULL);
    setrlimit(RLIMIT_NOFILE, &before);
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = nbd_connect(); /* the system takes them, the server can't yet */
    assert_true(nbd_log_has("can't accept"));
    fixture_sleep_ms(500);
    assert_in_range(nbd_log_count("can't accept"), 1, 10); /* no spin */
    for (int i = 0; i < CLIENTS / 2; i++)
        close(fds[i]);
    for (int i = CLIENTS / 2; i < CLIENTS; i++) {
        nbd_recv(fds[i], p, sizeof(p)); /* greeted after all */
        close(fds[i]);
    }
    nbd_finish(pid);
}

static void many_threads_serve_one_image(void **state)
{
    enum { CLIENTS = 12, BLOCK = 65536 };
    int fds[CLIENTS];
    (void)state;
    pid_t pid = nbd_start("--threads=3", NULL);
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = nbd_ready();
    for (int i = 0; i < CLIENTS; i++) {
        uint8_t *block = nbd_expected + i * BLOCK;
        memset(block, 'a' + i, BLOCK);
        nbd_request(fds[i], 0, NBD_CMD_WRITE, 1, (uint64_t)i * BLOCK, BLOCK);
        nbd_send(fds[i], block, BLOCK);
    }
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(nbd_reply(fds[i], 1), 0);
    assert_int_equal(nbd_command(fds[0], 0, NBD_CMD_FLUSH, 0, 0), 0);
    for (int i = 0; i < CLIENTS; i++) {
        nbd_expect_image(fds[i]);
        close(fds[i]);
    }
    nbd_finish(pid);
}

/* Sockets and locks */

static void bind_socket(bool keep_listening, int *fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", nbd_path("socket"));
    *fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(*fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(*fd, 1), 0);
    if (!keep_listening)
        close(*fd);
}

static void stale_socket_is_replaced_and_ours_is_private(void **state)
{
    struct stat node;
    int fd;
    (void)state;
    nbd_not_on_windows("no Unix sockets");
    bind_socket(false, &fd);
    pid_t pid = nbd_start(NULL);
    assert_int_equal(stat(nbd_path("socket"), &node), 0);
    assert_int_equal(node.st_mode & 0777, 0600);
    nbd_finish(pid);
    assert_int_equal(access(nbd_path("socket"), F_OK), -1); /* it cleans up */
}

static int run_listening(const char *address, const char *more)
{
    const char *args[] = {"--listen", address, nbd_path("image"), more, NULL};
    return nbd_wait(nbd_spawn(args));
}

static void tcp_clients_are_served_on_loopback(void **state)
{
    uint8_t p[18];
    (void)state;
    pid_t pid = nbd_start("--listen=0", NULL);
    int fd = nbd_connect_tcp();
    nbd_recv(fd, p, sizeof(p));
    nbd_send(fd, "\0\0\0\3", 4);
    nbd_go(fd, "");
    memset(nbd_expected + 5000, 't', 100000);
    assert_int_equal(nbd_write(fd, 0, 5000, nbd_expected + 5000, 100000), 0);
    nbd_expect_image(fd);
    nbd_send(fd, "nonsense, and the line in the log says from where", 49);
    nbd_expect_closed(fd);
    assert_true(nbd_log_has("(127.0.0.1:"));
    nbd_finish(pid);
}

static void living_socket_and_other_files_are_left_alone(void **state)
{
    int fd;
    (void)state;
    nbd_not_on_windows("no Unix sockets");
    bind_socket(true, &fd);
    assert_int_equal(run_listening(nbd_path("socket"), NULL), 1);
    assert_int_equal(access(nbd_path("socket"), F_OK), 0);
    close(fd);
    assert_int_equal(run_listening(nbd_path("image"), NULL), 1);
    assert_int_equal(access(nbd_path("image"), F_OK), 0);
    assert_int_equal(nbd_log_count("in use"), 2);
}

static void second_writer_is_refused_by_the_lock(void **state)
{
    (void)state;
    pid_t pid = nbd_start(NULL);
    assert_int_equal(run_listening("0", NULL), 1);
    assert_int_equal(run_listening("0", "--read-only"), 1);
    assert_int_equal(nbd_log_count("locked by another user"), 2);
    nbd_finish(pid);
}

static void one_image_is_not_exported_twice_for_writing(void **state)
{
    char named[160];
    (void)state;
    snprintf(named, sizeof(named), "again=%s", nbd_path("image"));
    assert_int_equal(run_listening("0", named), 1);
    assert_int_equal(run_listening("0", nbd_path("image")), 1);
    assert_true(nbd_log_has("there is another export \"\""));
    pid_t pid = nbd_start("--read-only", named, NULL); /* readers share */
    nbd_finish(pid);
}

static void names_of_files_are_utf_8(void **state)
{
    const char *path = nbd_path(NBD_WIDE_NAME);
    (void)state;
    assert_int_equal(link(nbd_path("image"), path), 0);
    fixture_setenv("LC_ALL",
                   "C.UTF-8"); /* Wine takes the encoding of arguments and files from it */
    nbd_finish(nbd_start_image(path, NULL));
}

static void other_addresses_than_loopback_need_a_flag(void **state)
{
    (void)state;
    assert_int_equal(run_listening("0.0.0.0:0", NULL), 1);
    assert_true(nbd_log_has("see --allow-remote"));
    pid_t pid = nbd_start("--listen=0.0.0.0:0", "--allow-remote", "--listen=0", NULL);
    assert_true(nbd_log_has("without encryption and authentication"));
    assert_true(nbd_log_has("listening on 127.0.0.1:"));
    nbd_finish(pid);
}

/* Begin and end */

static void command_line_errors_are_said(void **state)
{
    static const struct {
        const char *arg;
        int status;
    } rows[] = {{"--help", 0},       {"--version", 0},       {"--nonsense", 2},
                {"--threads=0", 2},  {"--threads=x", 2},     {"--max-bytes=1", 2},
                {"--threads=99", 2}, {"--idle-timeout=", 2}, {"--poller=nonsense", 1},
                {"--listen=1:x", 1}, {"--listen=65536", 1},  {"--handshake-timeout=-1", 2},
                {"/nonexistent", 1}};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *args[] = {rows[i].arg, "--listen=0", nbd_path("image"), NULL};
        if (rows[i].arg[0] == '/')
            args[2] = "x=/nonexistent";
        if (nbd_wait(nbd_spawn(args)) != rows[i].status)
            fail_msg("%s: wrong exit status", rows[i].arg);
    }
    const char *none[] = {NULL};
    assert_int_equal(nbd_wait(nbd_spawn(none)), 2);
    assert_true(nbd_log_has("/nonexistent"));
}

static void sigterm_answers_what_is_in_flight(void **state)
{
    enum { COUNT = 64, BLOCK = 16384 };
    (void)state;
    pid_t pid = nbd_start("--threads=2", NULL);
    int fd = nbd_ready();
    static uint8_t before[NBD_IMAGE_SIZE];
    memcpy(before, nbd_expected, sizeof(before));
    for (uint64_t i = 0; i < COUNT; i++) {
        uint8_t *block = nbd_expected + i * BLOCK;
        memset(block, (int)i, BLOCK);
        nbd_request(fd, 0, NBD_CMD_WRITE, i, i * BLOCK, BLOCK);
        nbd_send(fd, block, BLOCK);
    }
    nbd_stop(pid);

    /* Each answer is a success, which the image shows, or says that the server is going. */
    uint8_t head[NBD_SIMPLE_REPLY_SIZE];
    bool success[COUNT] = {false};
    while (recv(fd, head, sizeof(head), MSG_WAITALL) == sizeof(head)) {
        uint32_t err = nbd_get32(head + 4);
        assert_true(err == 0 || err == NBD_ESHUTDOWN);
        success[nbd_get64(head + 8)] = err == 0;
    }
    close(fd);
    assert_int_equal(nbd_wait(pid), 0);
    static uint8_t after[NBD_IMAGE_SIZE];
    FILE *file = fopen(nbd_path("image"), "r");
    assert_int_equal(fread(after, 1, sizeof(after), file), sizeof(after));
    fclose(file);
    for (size_t i = 0; i < COUNT; i++) {
        const uint8_t *wanted = success[i] ? nbd_expected : before;
        assert_memory_equal(after + i * BLOCK, wanted + i * BLOCK, BLOCK);
    }
    assert_int_equal(nbd_log_count("client"), 0);
}

static void second_sigterm_forces_the_end(void **state)
{
    (void)state;
    pid_t pid = nbd_start(NULL);
    int fd = nbd_ready();
    ask_without_reading(fd);
    nbd_stop(pid);
    nbd_expect_closed(nbd_take_bystander()); /* it drains: the idle client is gone */
    nbd_stop(pid);
    assert_int_equal(nbd_wait(pid), 1);
    close(fd);
}

static void counters_are_written_at_exit(void **state)
{
    char counters[160], text[4096];
    (void)state;
    snprintf(counters, sizeof(counters), "--counters=%s", nbd_path("counters"));
    pid_t pid = nbd_start("--threads=2", "--progress", counters, NULL);
    nbd_finish(pid);
    FILE *file = fopen(nbd_path("counters"), "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    assert_non_null(strstr(text, "{\"requests\": 2,"));
    assert_non_null(strstr(text, "\"name\": \"worker 1\""));
    assert_non_null(strstr(text, "\"notifier_writes\": "));
    assert_true(nbd_log_has(" requests, "));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_nbd(silence_in_the_handshake_times_out),
    cmocka_unit_test_nbd(endless_haggling_times_out),
    cmocka_unit_test_nbd(options_are_bounded_in_number),
    cmocka_unit_test_nbd(half_a_request_then_silence_times_out),
    cmocka_unit_test_nbd(half_a_request_then_the_end_changes_nothing),
    cmocka_unit_test_nbd(idle_client_is_closed_where_asked_for),
    cmocka_unit_test_nbd(client_that_never_reads_is_held_back_then_closed),
    cmocka_unit_test_nbd(too_many_connections_are_turned_away),
    cmocka_unit_test_nbd(accepting_pauses_while_descriptors_run_out),
    cmocka_unit_test_nbd(many_threads_serve_one_image),
    cmocka_unit_test_nbd(stale_socket_is_replaced_and_ours_is_private),
    cmocka_unit_test_nbd(tcp_clients_are_served_on_loopback),
    cmocka_unit_test_nbd(living_socket_and_other_files_are_left_alone),
    cmocka_unit_test_nbd(second_writer_is_refused_by_the_lock),
    cmocka_unit_test_nbd(one_image_is_not_exported_twice_for_writing),
    cmocka_unit_test_nbd(names_of_files_are_utf_8),
    cmocka_unit_test_nbd(other_addresses_than_loopback_need_a_flag),
    cmocka_unit_test_nbd(command_line_errors_are_said),
    cmocka_unit_test_nbd(sigterm_answers_what_is_in_flight),
    cmocka_unit_test_nbd(second_sigterm_forces_the_end),
    cmocka_unit_test_nbd(counters_are_written_at_exit),
};
TEST_MAIN(tests)
