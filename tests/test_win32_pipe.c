/*
 * Overlapped calls as requests, mostly on named pipes: what they complete with, and how they are cancelled.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/win32_help.h"

#include <errno.h>

#include "aioctx/overlapped.h"
#include "aioctx/request.h"

#define PENDING INT64_MIN

/* A pipe whose server's end belongs to the context, and one call on it. */
typedef struct Pipe {
    AioContext *ctx;
    HANDLE server;
    HANDLE client;
} Pipe;

typedef struct Call {
    char buffer[64];
    DWORD size;
    int64_t ret;
    int completions;
    void (*then)(struct Call *call);
    void *arg;
} Call;

static HANDLE server_end(const char *name, DWORD type)
{
    return CreateNamedPipeA(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, type | PIPE_WAIT, 2,
                            4096, 4096, 0, NULL);
}

static HANDLE client_end(const char *name, DWORD flags)
{
    return CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, flags, NULL);
}

static void name_of(char *name, size_t size)
{
    static int number;
    snprintf(name, size, "\\\\.\\pipe\\aioctx-call-%lu-%d", GetCurrentProcessId(), number++);
}

static Pipe pipe_of_type(AioContext *ctx, DWORD type)
{
    char name[64];
    Pipe pipe = {.ctx = ctx};
    name_of(name, sizeof(name));
    pipe.server = server_end(name, type);
    assert_ptr_not_equal(pipe.server, INVALID_HANDLE_VALUE);
    pipe.client = client_end(name, 0);
    assert_ptr_not_equal(pipe.client, INVALID_HANDLE_VALUE);
    assert_true(aio_overlapped_bind(ctx, (AioHandle)pipe.server, NULL));
    return pipe;
}

static Pipe pipe_of(AioContext *ctx)
{
    return pipe_of_type(ctx, PIPE_TYPE_BYTE);
}

static void pipe_close(Pipe *pipe)
{
    CloseHandle(pipe->client);
    CloseHandle(pipe->server);
}

static Call call_of(DWORD size)
{
    return (Call){.size = size, .ret = PENDING};
}

static uint32_t answer(BOOL done)
{
    return done ? ERROR_SUCCESS : GetLastError();
}

static uint32_t start_read(void *opaque, AioHandle handle, void *overlapped)
{
    Call *call = opaque;
    return answer(ReadFile((HANDLE)handle, call->buffer, call->size, NULL, overlapped));
}

static uint32_t start_write(void *opaque, AioHandle handle, void *overlapped)
{
    Call *call = opaque;
    return answer(WriteFile((HANDLE)handle, call->buffer, call->size, NULL, overlapped));
}

static uint32_t start_connect(void *opaque, AioHandle handle, void *overlapped)
{
    (void)opaque;
    return answer(ConnectNamedPipe((HANDLE)handle, overlapped));
}

static uint32_t start_recv(void *opaque, AioHandle handle, void *overlapped)
{
    Call *call = opaque;
    WSABUF buffer = {.buf = call->buffer, .len = call->size};
    DWORD flags = 0;
    int status = WSARecv((SOCKET)handle, &buffer, 1, NULL, &flags, overlapped, NULL);
    return status == 0 ? ERROR_SUCCESS : (uint32_t)WSAGetLastError();
}

static void completed(void *opaque, int64_t ret)
{
    Call *call = opaque;
    call->ret = ret;
    call->completions++;
    if (call->then) {
        call->then(call);
    }
}

static AioRequest *submit(Pipe *pipe, AioOverlappedFunc *start, Call *call)
{
    return aio_overlapped_submit(pipe->ctx, (AioHandle)pipe->server, start, call, completed, call,
                                 NULL);
}

static void send_to(Pipe *pipe, const char *text)
{
    DWORD n = 0;
    assert_true(WriteFile(pipe->client, text, (DWORD)strlen(text), &n, NULL));
    assert_int_equal(n, strlen(text));
}

static void until_over(Pipe *pipe, const Call *call)
{
    for (int64_t end = fixture_now_ns() + INT64_C(20000000000); call->ret == PENDING;) {
        assert_true(fixture_now_ns() < end);
        drive(pipe->ctx, true);
    }
    assert_int_equal(call->completions, 1);
}

static void reads_and_writes_complete_with_their_bytes(AioContext *ctx)
{
    Pipe pipe = pipe_of(ctx);
    Call in = call_of(sizeof(in.buffer)), out = call_of(5);
    char text[8] = "";
    DWORD n = 0;
    assert_non_null(submit(&pipe, start_read, &in));
    assert_false(drive(ctx, false));
    assert_int_equal(in.ret, PENDING);
    send_to(&pipe, "hello");
    until_over(&pipe, &in);
    assert_int_equal(in.ret, 5);
    assert_memory_equal(in.buffer, "hello", 5);
    memcpy(out.buffer, "world", 5);
    assert_non_null(submit(&pipe, start_write, &out));
    assert_int_equal(out.ret, PENDING); /* never inside, though there is room */
    until_over(&pipe, &out);
    assert_int_equal(out.ret, 5);
    assert_true(ReadFile(pipe.client, text, 5, &n, NULL));
    assert_memory_equal(text, "world", 5);
    assert_false(drive(ctx, false));
    pipe_close(&pipe);
}

static void client_that_comes_completes_a_connect(AioContext *ctx)
{
    char name[64];
    Pipe pipe = {.ctx = ctx};
    Call connect = call_of(0);
    name_of(name, sizeof(name));
    pipe.server = server_end(name, PIPE_TYPE_BYTE);
    assert_true(aio_overlapped_bind(ctx, (AioHandle)pipe.server, NULL));
    assert_non_null(submit(&pipe, start_connect, &connect));
    assert_false(drive(ctx, false));
    pipe.client = client_end(name, 0);
    until_over(&pipe, &connect);
    assert_int_equal(connect.ret, 0);
    pipe_close(&pipe);
}

static void client_that_came_first_makes_a_connect_fail_and_say_so(AioContext *ctx)
{
    Pipe pipe = pipe_of(ctx);
    Call connect = call_of(0), in = call_of(sizeof(in.buffer));
    AioError *error = NULL;
    assert_null(aio_overlapped_submit(ctx, (AioHandle)pipe.server, start_connect, &connect,
                                      completed, &connect, &error));
    assert_int_equal(aio_error_code(error), EISCONN);
    aio_error_free(error);
    assert_false(drive(ctx, false));
    assert_int_equal(connect.completions, 0);
    assert_non_null(submit(&pipe, start_read, &in));
    send_to(&pipe, "here");
    until_over(&pipe, &in);
    assert_int_equal(in.ret, 4);
    pipe_close(&pipe);
}

static void read_that_is_cancelled_midway_completes_once(AioContext *ctx)
{
    Pipe pipe = pipe_of(ctx);
    for (int sync = 0; sync < 2; sync++) {
        Call in = call_of(sizeof(in.buffer));
        AioRequest *request = submit(&pipe, start_read, &in);
        assert_false(drive(ctx, false));
        if (sync) {
            aio_request_cancel(request);
        } else {
            aio_request_cancel_async(request);
            assert_int_equal(in.ret, PENDING);
            until_over(&pipe, &in);
        }
        assert_int_equal(in.ret, -ECANCELED);
        assert_int_equal(in.completions, 1);
    }
    /* What comes later is there for the next. */
    Call next = call_of(sizeof(next.buffer));
    send_to(&pipe, "later");
    assert_non_null(submit(&pipe, start_read, &next));
    until_over(&pipe, &next);
    assert_int_equal(next.ret, 5);
    pipe_close(&pipe);
}

static void cancel_that_comes_too_late_changes_nothing(AioContext *ctx)
{
    Pipe pipe = pipe_of(ctx);
    Call in = call_of(sizeof(in.buffer));
    AioRequest *request = submit(&pipe, start_read, &in);
    send_to(&pipe, "early"); /* its packet is in the queue */
    aio_request_cancel_async(request);
    aio_request_cancel_async(request);
    until_over(&pipe, &in);
    assert_int_equal(in.ret, 5);
    assert_false(drive(ctx, false));
    assert_int_equal(in.completions, 1);
    pipe_close(&pipe);
}

static void end_of_the_pipe_is_an_error_of_the_read(AioContext *ctx)
{
    Pipe pipe = pipe_of(ctx);
    Call in = call_of(sizeof(in.buffer)), more = call_of(sizeof(more.buffer));
    assert_non_null(submit(&pipe, start_read, &in));
    assert_false(drive(ctx, false));
    CloseHandle(pipe.client);
    pipe.client = NULL;
    until_over(&pipe, &in);
    assert_int_equal(in.ret, -EPIPE);
    /* The next is refused at once. */
    AioError *error = NULL;
    assert_null(aio_overlapped_submit(ctx, (AioHandle)pipe.server, start_read, &more, completed,
                                      &more, &error));
    assert_int_equal(aio_error_code(error), EPIPE);
    aio_error_free(error);
    drive(ctx, false);
    assert_int_equal(more.completions, 0);
    CloseHandle(pipe.server);
}

/* Also where it is there before the call: that fails at once, by a warning, and its packet comes. */
static void message_that_is_too_long_fills_the_buffer(AioContext *ctx)
{
    Pipe pipe = pipe_of_type(ctx, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE);
    for (int early = 0; early < 2; early++) {
        Call first = call_of(4), rest = call_of(sizeof(rest.buffer));
        if (early) {
            send_to(&pipe, "messages");
        }
        assert_non_null(submit(&pipe, start_read, &first));
        if (!early) {
            send_to(&pipe, "messages");
        }
        until_over(&pipe, &first);
        assert_int_equal(first.ret, 4);
        assert_memory_equal(first.buffer, "mess", 4);
        assert_non_null(submit(&pipe, start_read, &rest));
        until_over(&pipe, &rest);
        assert_int_equal(rest.ret, 4);
        assert_memory_equal(rest.buffer, "ages", 4);
    }
    pipe_close(&pipe);
}

static void submit_again(Call *call)
{
    call->then = NULL;
    call->ret = PENDING;
    call->completions = 0;
    assert_non_null(submit(call->arg, start_read, call));
}

static void completion_may_submit_the_next(AioContext *ctx)
{
    Pipe pipe = pipe_of(ctx);
    Call in = call_of(1);
    in.then = submit_again;
    in.arg = &pipe;
    assert_non_null(submit(&pipe, start_read, &in));
    send_to(&pipe, "12");
    while (in.then) {
        assert_true(drive(ctx, true));
    }
    until_over(&pipe, &in);
    assert_int_equal(in.buffer[0], '2');
    pipe_close(&pipe);
}

static void many_calls_on_one_pipe_complete_once_each(AioContext *ctx)
{
    enum { N = 100 };
    static Call in[N];
    Pipe pipe = pipe_of(ctx);
    for (int i = 0; i < N; i++) {
        in[i] = call_of(1);
        assert_non_null(submit(&pipe, start_read, &in[i]));
    }
    for (int i = 0; i < N; i++) {
        char text[2] = {(char)('0' + i % 10)};
        send_to(&pipe, text);
    }
    for (int i = 0; i < N; i++) {
        until_over(&pipe, &in[i]);
        assert_int_equal(in[i].ret, 1);
        assert_int_equal(in[i].buffer[0], '0' + i % 10);
    }
    assert_false(drive(ctx, false));
    pipe_close(&pipe);
}

static void sockets_take_overlapped_calls_too(AioContext *ctx)
{
    FixturePair pair = fixture_pair();
    Pipe pipe = {.ctx = ctx, .server = (HANDLE)pair.a};
    Call in = call_of(sizeof(in.buffer));
    assert_true(aio_overlapped_bind(ctx, pair.a, NULL));
    assert_non_null(submit(&pipe, start_recv, &in));
    assert_false(drive(ctx, false));
    fixture_write(pair.b, "socket", 6);
    until_over(&pipe, &in);
    assert_int_equal(in.ret, 6);
    assert_memory_equal(in.buffer, "socket", 6);
    fixture_pair_close(&pair);
}

static void connection_that_is_reset_says_so(AioContext *ctx)
{
    FixturePair pair = fixture_pair();
    Pipe pipe = {.ctx = ctx, .server = (HANDLE)pair.a};
    Call in = call_of(sizeof(in.buffer));
    struct linger none = {.l_onoff = 1};
    assert_true(aio_overlapped_bind(ctx, pair.a, NULL));
    assert_non_null(submit(&pipe, start_recv, &in));
    assert_false(drive(ctx, false));
    assert_int_equal(
        setsockopt((SOCKET)pair.b, SOL_SOCKET, SO_LINGER, (const char *)&none, sizeof(none)), 0);
    fixture_close(pair.b);
    until_over(&pipe, &in);
    assert_int_equal(in.ret, -ECONNRESET);
    fixture_close(pair.a);
}

/* A socket whose datagrams come back to it. */
static SOCKET echo_socket(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int size = sizeof(address);
    SOCKET s = socket(AF_INET, SOCK_DGRAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(s, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(s, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(connect(s, (struct sockaddr *)&address, size), 0);
    return s;
}

static void datagram_that_is_too_long_fills_the_buffer(AioContext *ctx)
{
    SOCKET s = echo_socket();
    Pipe pipe = {.ctx = ctx, .server = (HANDLE)s};
    assert_true(aio_overlapped_bind(ctx, (AioHandle)s, NULL));
    for (int early = 0; early < 2; early++) {
        Call in = call_of(4);
        if (early) {
            assert_int_equal(send(s, "messages", 8, 0), 8);
            assert_true(fixture_wait_readable(&(AioHandle){(AioHandle)s}, 1, 20000));
        }
        assert_non_null(submit(&pipe, start_recv, &in));
        if (!early) {
            assert_int_equal(send(s, "messages", 8, 0), 8);
        }
        until_over(&pipe, &in);
        assert_int_equal(in.ret, 4);
        assert_memory_equal(in.buffer, "mess", 4);
    }
    closesocket(s);
}

/* It is told where the host looks, and runs where the host dispatches. */
static void host_has_the_end_of_a_call_when_it_looks(AioContext *ctx)
{
    Pipe pipe = pipe_of(ctx);
    Call in = call_of(sizeof(in.buffer));
    assert_non_null(submit(&pipe, start_read, &in));
    assert_false(aio_prepare(ctx));
    assert_false(aio_pending(ctx));
    assert_false(aio_prepare(ctx));
    send_to(&pipe, "host");
    for (int64_t end = fixture_now_ns() + INT64_C(20000000000); !aio_pending(ctx);) {
        assert_true(fixture_now_ns() < end);
        if (aio_prepare(ctx)) {
            break;
        }
    }
    assert_int_equal(in.ret, PENDING);
    aio_dispatch(ctx);
    assert_int_equal(in.ret, 4);
    while (aio_prepare(ctx)) { /* the remains of the call */
        aio_dispatch(ctx);
    }
    assert_false(aio_pending(ctx));
    assert_int_equal(in.completions, 1);
    pipe_close(&pipe);
}

/* Its error names the handle, and says `why`. */
static void expect_no_binding_since(AioContext *ctx, HANDLE handle, int code, const char *why)
{
    AioError *error = NULL;
    char number[32];
    assert_false(aio_overlapped_bind(ctx, (AioHandle)handle, &error));
    assert_int_equal(aio_error_code(error), code);
    snprintf(number, sizeof(number), "%lld", (long long)(AioHandle)handle);
    assert_non_null(strstr(aio_error_message(error), number));
    assert_non_null(strstr(aio_error_message(error), why));
    aio_error_free(error);
}

static void expect_no_binding(AioContext *ctx, HANDLE handle, int code)
{
    expect_no_binding_since(ctx, handle, code, "");
}

static void handle_whose_calls_may_leave_no_packet_is_not_bound(AioContext *ctx)
{
    char name[64];
    name_of(name, sizeof(name));
    HANDLE server = server_end(name, PIPE_TYPE_BYTE);
    assert_true(SetFileCompletionNotificationModes(server, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS));
    expect_no_binding_since(ctx, server, EINVAL, "FILE_SKIP_COMPLETION_PORT_ON_SUCCESS");
    CloseHandle(server);
    name_of(name, sizeof(name));
    server = server_end(name, PIPE_TYPE_BYTE);
    assert_true(SetFileCompletionNotificationModes(server, FILE_SKIP_SET_EVENT_ON_HANDLE));
    assert_true(aio_overlapped_bind(ctx, (AioHandle)server, NULL)); /* that one does no harm */
    CloseHandle(server);
}

static void what_can_not_be_bound_is_an_error_that_names_it(AioContext *ctx)
{
    char name[64];
    Pipe pipe = pipe_of(ctx);
    name_of(name, sizeof(name));
    HANDLE other = server_end(name, PIPE_TYPE_BYTE);
    HANDLE plain = client_end(name, 0);
    expect_no_binding(ctx, pipe.server, EINVAL); /* it is already */
    expect_no_binding(ctx, plain, EINVAL);       /* not opened for it */
    CloseHandle(plain);
    expect_no_binding(ctx, plain, EBADF);
    expect_no_binding(ctx, INVALID_HANDLE_VALUE, EBADF);
    expect_no_binding(ctx, NULL, EBADF);
    CloseHandle(other);
    pipe_close(&pipe);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(reads_and_writes_complete_with_their_bytes),
    cmocka_unit_test_home(client_that_comes_completes_a_connect),
    cmocka_unit_test_home(client_that_came_first_makes_a_connect_fail_and_say_so),
    cmocka_unit_test_home(read_that_is_cancelled_midway_completes_once),
    cmocka_unit_test_home(cancel_that_comes_too_late_changes_nothing),
    cmocka_unit_test_home(end_of_the_pipe_is_an_error_of_the_read),
    cmocka_unit_test_home(message_that_is_too_long_fills_the_buffer),
    cmocka_unit_test_home(completion_may_submit_the_next),
    cmocka_unit_test_home(many_calls_on_one_pipe_complete_once_each),
    cmocka_unit_test_home(sockets_take_overlapped_calls_too),
    cmocka_unit_test_home(connection_that_is_reset_says_so),
    cmocka_unit_test_home(datagram_that_is_too_long_fills_the_buffer),
    cmocka_unit_test_home(host_has_the_end_of_a_call_when_it_looks),
    cmocka_unit_test_home(handle_whose_calls_may_leave_no_packet_is_not_bound),
    cmocka_unit_test_home(what_can_not_be_bound_is_an_error_that_names_it),
};
TEST_MAIN(tests)
