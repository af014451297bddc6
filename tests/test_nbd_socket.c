/*
 * The sockets of nbd-server where the loop can't watch one any more: no client can bring that about, so here they run
 * without the server.
 *
 * SPDX-License-Identifier: MIT
 */
#include "examples/nbd-server/socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fixture.h"

enum { PATIENCE_S = 20 };

typedef struct Talk {
    Socket sock;
    AioContext *ctx;
    int fds[2];
    int64_t result
        [2]; /* of a receive or send where the system refuses the descriptor, and of the next */
    bool done;
} Talk;

static int64_t receive(Talk *talk)
{
    char text[16];
    AioIoVec iov = {.base = text, .len = sizeof(text)};
    return socket_recv(&talk->sock, &iov, 1, INT64_C(1000000000) * PATIENCE_S);
}

/* What comes first is less than there is room for, so the next receive waits without asking. */
static void receive_from_a_bad_descriptor(void *opaque)
{
    Talk *talk = opaque;
    int64_t n = receive(talk);
    if (n == 1) {
        close(talk->fds[0]);
        talk->result[0] = receive(talk);
        talk->result[1] = receive(talk);
    }
    talk->done = true;
}

static void a_socket_that_can_not_be_watched_fails(void **state)
{
    (void)state;
    Talk talk = {.ctx = fixture_context()};
    int64_t start = fixture_now_ns();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, talk.fds),
                     0);
    assert_int_equal(write(talk.fds[1], "x", 1), 1);
    aio_context_bind(talk.ctx);
    socket_init(&talk.sock, talk.ctx, talk.fds[0]);
    aio_co_enter(talk.ctx, aio_co_create(receive_from_a_bad_descriptor, &talk));
    while (!talk.done) {
        drive(talk.ctx, true);
    }
    assert_int_equal(talk.result[0], -EBADF);
    assert_int_equal(talk.result[1], -EBADF);
    assert_true(fixture_now_ns() - start < INT64_C(1000000000) * PATIENCE_S);
    socket_close(&talk.sock);
    close(talk.fds[1]);
    aio_error_free(aio_context_take_error(talk.ctx));
    fixture_context_free(talk.ctx);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_socket_that_can_not_be_watched_fails),
};
TEST_MAIN(tests)
