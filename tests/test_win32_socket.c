/*
 * Windows' sockets: level-triggered over events that are edges, alone and beside handles and timers.
 *
 * SPDX-License-Identifier: MIT
 */
#define WIN32_LEAN_AND_MEAN
#define _WIN32_WINNT 0x0602
#include <winsock2.h>

#include <windows.h>

#include "tests/probe.h"

#define SECOND INT64_C(1000000000)

static void count(void *opaque)
{
    ++*(int *)opaque;
}

static void timer_handle_and_socket_in_one_wait_are_all_served(AioContext *ctx)
{
    Probe socket;
    AioTimer timer;
    int timers = 0, signals = 0;
    HANDLE event = CreateEventW(NULL, FALSE, TRUE, NULL);
    AioHandlerOps ops = {.size = sizeof(ops), .read = count};
    assert_true(aio_handler_set(ctx, (AioHandle)event, AIO_HANDLE_OBJECT, 0, &ops, &signals, NULL));
    probe_open_reader(&socket, ctx);
    probe_ping(&socket);
    aio_timer_init(ctx, &timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, count, &timers);
    aio_timer_mod(&timer, aio_clock_get_ns(AIO_CLOCK_REALTIME));
    assert_true(drive(ctx, false));
    assert_int_equal(timers, 1);
    assert_int_equal(signals, 1);
    assert_int_equal(socket.reads, 1);
    aio_handler_remove(ctx, (AioHandle)event, AIO_HANDLE_OBJECT);
    CloseHandle(event);
    probe_close(&socket);
}

static void socket_that_was_read_once_lets_the_loop_sleep(AioContext *ctx)
{
    Probe socket;
    probe_open_reader(&socket, ctx);
    for (int i = 1; i <= 3; i++) {
        probe_ping(&socket);
        assert_true(drive(ctx, true));
        assert_int_equal(socket.reads, i);
        assert_in_range(probe_sleep(ctx, 30), 1, 10);
    }
    probe_close(&socket);
}

typedef struct Later {
    AioHandle handle;
    struct sockaddr_in address;
    void (*what)(struct Later *later);
} Later;

static void do_later(void *opaque)
{
    Later *later = opaque;
    fixture_sleep_ms(50); /* the loop sleeps by then */
    later->what(later);
}

static void write_a_byte(Later *later)
{
    fixture_write(later->handle, "x", 1);
}

static void end_the_stream(Later *later)
{
    fixture_shutdown_write(later->handle);
}

static void connect_and_leave(Later *later)
{
    SOCKET client = socket(AF_INET, SOCK_STREAM, 0);
    connect(client, (struct sockaddr *)&later->address, sizeof(later->address));
    closesocket(client);
}

/* What the system tells of at once, not when somebody looks next: nothing but the event ends this sleep. */
static void sleep_ends_by(AioContext *ctx, Later *later, const int *calls)
{
    assert_false(drive(ctx, false));
    FixtureThread *thread = fixture_thread_start(do_later, later);
    assert_true(drive(ctx, true));
    assert_int_equal(*calls, 1);
    fixture_thread_join(thread);
}

static void sleeping_loop_is_woken_by_data_the_end_and_connections(AioContext *ctx)
{
    void (*const events[])(Later *) = {write_a_byte, end_the_stream};
    for (size_t i = 0; i < 2; i++) {
        Probe socket;
        probe_open_reader(&socket, ctx);
        Later later = {.handle = socket.pair.b, .what = events[i]};
        sleep_ends_by(ctx, &later, &socket.reads);
        probe_close(&socket);
    }
    AioHandlerOps ops = {.size = sizeof(ops), .read = count};
    Later later = {.address = {.sin_family = AF_INET}, .what = connect_and_leave};
    int size = sizeof(later.address), accepted = 0;
    SOCKET listener = socket(AF_INET, SOCK_STREAM, 0);
    later.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, (struct sockaddr *)&later.address, size), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&later.address, &size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_true(
        aio_handler_set(ctx, (AioHandle)listener, AIO_HANDLE_SOCKET, 0, &ops, &accepted, NULL));
    sleep_ends_by(ctx, &later, &accepted);
    aio_handler_remove(ctx, (AioHandle)listener, AIO_HANDLE_SOCKET);
    closesocket(listener);
}

static void read_one_byte(void *opaque)
{
    Probe *probe = opaque;
    char byte;
    probe->reads++;
    assert_int_equal(fixture_read(probe->pair.a, &byte, 1), 1);
}

static void what_a_handler_leaves_is_reported_again(AioContext *ctx)
{
    Probe socket;
    AioHandlerOps ops = {.size = sizeof(ops), .read = read_one_byte};
    probe_open(&socket, ctx);
    assert_true(aio_handler_set(ctx, socket.pair.a, AIO_HANDLE_SOCKET, 0, &ops, &socket, NULL));
    assert_int_equal(fixture_write(socket.pair.b, "0123456789", 10), 10);
    for (int i = 1; i <= 10; i++) {
        assert_true(drive(ctx, true));
        assert_int_equal(socket.reads, i);
    }
    assert_in_range(probe_sleep(ctx, 30), 1, 10);
    assert_int_equal(socket.reads, 10);
    probe_close(&socket);
}

static void socket_is_writable_without_a_send_that_failed(AioContext *ctx)
{
    Probe socket;
    probe_open(&socket, ctx);
    for (int round = 0; round < 2; round++) {
        probe_set(&socket, PROBE_WRITE, 0);
        for (int i = 1; i <= 3; i++) {
            assert_true(drive(ctx, true));
            assert_int_equal(socket.writes, 3 * round + i);
        }
        probe_remove(&socket); /* and registered anew: the system gives no second event */
    }
    probe_close(&socket);
}

typedef struct Reader {
    AioHandle handle;
    size_t bytes;
} Reader;

/* Takes `bytes` away, after a while. */
static void read_later(void *opaque)
{
    Reader *reader = opaque;
    static char buffer[65536];
    fixture_sleep_ms(50);
    size_t done = 0;
    for (int64_t end = fixture_now_ns() + 10 * SECOND;
         done < reader->bytes && fixture_now_ns() < end;) {
        int n = fixture_read(reader->handle, buffer, sizeof(buffer));
        done += n > 0 ? (size_t)n : 0;
    }
}

/* Fill it without a send that fails: the system records no wish to be told of room. */
static size_t fill_exactly(AioHandle handle)
{
    static const char zeroes[4096];
    size_t total = 0;
    WSAPOLLFD fd = {.fd = (SOCKET)handle, .events = POLLWRNORM};
    while (WSAPoll(&fd, 1, 0) > 0 && total < 256 * 1024 * 1024) {
        int n = send((SOCKET)handle, zeroes, sizeof(zeroes), 0);
        assert_true(n > 0);
        total += (size_t)n;
    }
    return total;
}

static void full_socket_is_written_to_when_there_is_room_again(AioContext *ctx)
{
    for (int exactly = 0; exactly < 2; exactly++) {
        Probe socket;
        probe_open(&socket, ctx);
        size_t bytes = exactly ? fill_exactly(socket.pair.a) : fixture_fill(socket.pair.a);
        probe_set(&socket, PROBE_WRITE, 0);
        assert_false(drive(ctx, false));
        Reader reader = {.handle = socket.pair.b, .bytes = bytes};
        FixtureThread *thread = fixture_thread_start(read_later, &reader);
        int64_t start = fixture_now_ns();
        assert_true(drive(ctx, true));
        assert_int_equal(socket.writes, 1);
        assert_true(fixture_now_ns() - start < 8 * SECOND);
        fixture_thread_join(thread);
        probe_close(&socket);
    }
}

static SOCKET udp_socket(struct sockaddr_in *address)
{
    int size = sizeof(*address);
    SOCKET udp = socket(AF_INET, SOCK_DGRAM, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET};
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(udp, (struct sockaddr *)address, size), 0);
    assert_int_equal(getsockname(udp, (struct sockaddr *)address, &size), 0);
    return udp;
}

static void reader_of_a_datagram_socket_is_not_called_for_room(AioContext *ctx)
{
    struct sockaddr_in address;
    SOCKET udp = udp_socket(&address);
    AioHandlerOps ops = {.size = sizeof(ops), .read = count};
    int reads = 0;
    assert_true(aio_handler_set(ctx, (AioHandle)udp, AIO_HANDLE_SOCKET, 0, &ops, &reads, NULL));
    assert_false(drive(ctx, false));
    assert_in_range(probe_sleep(ctx, 30), 1, 10);
    assert_int_equal(reads, 0);
    sendto(udp, "x", 1, 0, (struct sockaddr *)&address, sizeof(address));
    assert_true(drive(ctx, true));
    assert_int_equal(reads, 1);
    aio_handler_remove(ctx, (AioHandle)udp, AIO_HANDLE_SOCKET);
    closesocket(udp);
}

static void half_close_of_the_peer_does_not_keep_a_writer_from_writing(AioContext *ctx)
{
    Probe socket;
    probe_open(&socket, ctx);
    fixture_shutdown_write(socket.pair.b);
    fixture_sleep_ms(20);
    size_t bytes = fixture_fill(socket.pair.a);
    probe_set(&socket, PROBE_WRITE, 0);
    assert_false(drive(ctx, false));
    Reader reader = {.handle = socket.pair.b, .bytes = bytes};
    FixtureThread *thread = fixture_thread_start(read_later, &reader);
    assert_true(drive(ctx, true));
    assert_int_equal(socket.writes, 1);
    fixture_thread_join(thread);
    probe_set(&socket, PROBE_READ, 0);
    assert_true(drive(ctx, true)); /* and a reader is told */
    assert_int_equal(socket.reads, 1);
    probe_close(&socket);
}

static void removed_socket_wakes_nothing_and_belongs_to_its_user_again(AioContext *ctx)
{
    Probe socket;
    probe_open_reader(&socket, ctx);
    assert_false(drive(ctx, false));
    probe_remove(&socket);
    assert_false(drive(ctx, false));
    probe_ping(&socket);
    assert_in_range(probe_sleep(ctx, 30), 1, 10);
    assert_int_equal(socket.reads, 0);
    /* No association is left: a blocking mode could not be set with one. */
    u_long blocking = 0;
    assert_int_equal(ioctlsocket((SOCKET)socket.pair.a, (long)FIONBIO, &blocking), 0);
    WSAEVENT event = WSACreateEvent();
    assert_int_equal(WSAEventSelect((SOCKET)socket.pair.a, event, FD_READ), 0);
    assert_int_equal(WaitForSingleObject(event, 5000), WAIT_OBJECT_0);
    WSAEventSelect((SOCKET)socket.pair.a, NULL, 0);
    WSACloseEvent(event);
    probe_close(&socket);
}

static void disabled_external_sockets_are_served_after_they_are_enabled(AioContext *ctx)
{
    Probe socket;
    probe_open(&socket, ctx);
    probe_set(&socket, PROBE_READ, AIO_HANDLER_EXTERNAL);
    aio_disable_external(ctx);
    probe_ping(&socket);
    assert_false(drive(ctx, false));
    assert_in_range(probe_sleep(ctx, 30), 1, 10);
    aio_enable_external(ctx);
    assert_true(drive(ctx, true));
    assert_int_equal(socket.reads, 1);
    probe_close(&socket);
}

typedef struct Connect {
    SOCKET socket;
    int calls;
    int error;
} Connect;

static void connected(void *opaque)
{
    Connect *connect = opaque;
    int size = sizeof(connect->error);
    getsockopt(connect->socket, SOL_SOCKET, SO_ERROR, (char *)&connect->error, &size);
    connect->calls++;
}

/* A port that was somebody's a moment ago. */
static struct sockaddr_in closed_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int size = sizeof(address);
    SOCKET listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    closesocket(listener);
    return address;
}

static void refused_connection_is_reported_within_three_seconds(AioContext *ctx)
{
    struct sockaddr_in address = closed_port();
    Connect state = {.socket = socket(AF_INET, SOCK_STREAM, 0)};
    AioHandlerOps ops = {.size = sizeof(ops), .write = connected};
    u_long on = 1;
    assert_int_equal(ioctlsocket(state.socket, (long)FIONBIO, &on), 0);
    int64_t start = fixture_now_ns();
    connect(state.socket, (struct sockaddr *)&address, sizeof(address));
    assert_true(
        aio_handler_set(ctx, (AioHandle)state.socket, AIO_HANDLE_SOCKET, 0, &ops, &state, NULL));
    while (state.calls == 0) {
        drive(ctx, true);
    }
    assert_true(fixture_now_ns() - start < 3 * SECOND);
    assert_int_equal(state.error, WSAECONNREFUSED);
    aio_handler_remove(ctx, (AioHandle)state.socket, AIO_HANDLE_SOCKET);
    closesocket(state.socket);
}

static void descriptor_form_takes_sockets_that_fit_and_names_those_that_do_not(AioContext *ctx)
{
    AioHandlerOps ops = {.size = sizeof(ops), .read = count};
    AioError *error = NULL;
    int reads = 0;
    Probe socket;
    probe_open(&socket, ctx);
    aio_set_fd_handler(ctx, (int)socket.pair.a, false, count, NULL, NULL, &reads);
    probe_ping(&socket);
    assert_true(drive(ctx, true));
    assert_int_equal(reads, 1);
    aio_set_fd_handler(ctx, (int)socket.pair.a, false, NULL, NULL, NULL, NULL);
    assert_false(drive(ctx, false));
    /* On 32 bits, where every handle fits, this is a negative one. */
    const AioHandle large = (AioHandle)((int64_t)INT32_MAX + 10);
    char text[32];
    assert_false(aio_handler_set(ctx, large, AIO_HANDLE_FD, 0, &ops, &reads, &error));
    assert_int_equal(aio_error_code(error), EBADF);
    snprintf(text, sizeof(text), "%lld", (long long)large);
    assert_non_null(strstr(aio_error_message(error), text));
    aio_error_free(error);
    probe_close(&socket);
}

static void hundreds_of_sockets_are_served_each_once(AioContext *ctx)
{
    enum { N = 300 };
    static Probe sockets[N];
    for (int i = 0; i < N; i++) {
        probe_open_reader(&sockets[i], ctx);
    }
    for (int i = 0; i < N; i++) {
        probe_ping(&sockets[i]);
    }
    int served = 0;
    while (served < N) {
        assert_true(drive(ctx, true));
        served = 0;
        for (int i = 0; i < N; i++) {
            served += sockets[i].reads;
        }
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(sockets[i].reads, 1);
        probe_close(&sockets[i]);
    }
}

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static void short_timers_are_never_early_and_their_errors_are_shown(AioContext *ctx)
{
    enum { N = 100 };
    int64_t late[N];
    AioTimer timer;
    int calls = 0;
    aio_timer_init(ctx, &timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, count, &calls);
    for (int i = 0; i < N; i++) {
        int64_t deadline = aio_clock_get_ns(AIO_CLOCK_REALTIME) + 1000000;
        aio_timer_mod(&timer, deadline);
        while (calls <= i) {
            drive(ctx, true);
        }
        late[i] = aio_clock_get_ns(AIO_CLOCK_REALTIME) - deadline;
    }
    qsort(late, N, sizeof(late[0]), compare);
    print_message("timers of 1 ms: late by %.0f us at least, half of them %.0f, nine tenths %.0f, "
                  "%.0f at most\n",
                  (double)late[0] / 1000, (double)late[N / 2] / 1000,
                  (double)late[N * 9 / 10] / 1000, (double)late[N - 1] / 1000);
    assert_true(late[0] >= 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(timer_handle_and_socket_in_one_wait_are_all_served),
    cmocka_unit_test_home(socket_that_was_read_once_lets_the_loop_sleep),
    cmocka_unit_test_home(sleeping_loop_is_woken_by_data_the_end_and_connections),
    cmocka_unit_test_home(what_a_handler_leaves_is_reported_again),
    cmocka_unit_test_home(socket_is_writable_without_a_send_that_failed),
    cmocka_unit_test_home(full_socket_is_written_to_when_there_is_room_again),
    cmocka_unit_test_home(reader_of_a_datagram_socket_is_not_called_for_room),
    cmocka_unit_test_home(half_close_of_the_peer_does_not_keep_a_writer_from_writing),
    cmocka_unit_test_home(removed_socket_wakes_nothing_and_belongs_to_its_user_again),
    cmocka_unit_test_home(disabled_external_sockets_are_served_after_they_are_enabled),
    cmocka_unit_test_home(refused_connection_is_reported_within_three_seconds),
    cmocka_unit_test_home(descriptor_form_takes_sockets_that_fit_and_names_those_that_do_not),
    cmocka_unit_test_home(hundreds_of_sockets_are_served_each_once),
    cmocka_unit_test_home(short_timers_are_never_early_and_their_errors_are_shown),
};
TEST_MAIN(tests)
