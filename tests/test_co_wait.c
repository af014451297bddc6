/*
 * Coroutines that wait for a descriptor.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "tests/co_help.h"

#define MS INT64_C(1000000)

typedef struct Waiter {
    FixturePair pair;
    bool for_writing;
    int result;
    bool ended;
    char byte;
} Waiter;

static uint64_t handlers(AioContext *ctx)
{
    AioContextInfo info = {.size = sizeof(info)};
    aio_context_info(ctx, &info);
    return info.handlers;
}

static void wait_for_pair(void *opaque)
{
    Waiter *waiter = opaque;
    waiter->result = waiter->for_writing
                         ? aio_co_wait_writable(waiter->pair.a, fixture_pair_kind())
                         : aio_co_wait_readable(waiter->pair.a, fixture_pair_kind());
    if (!waiter->for_writing && waiter->result == 0) {
        fixture_read(waiter->pair.a, &waiter->byte, 1);
    }
    waiter->ended = true;
}

static void waits_until_readable_and_leaves_no_handler(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Waiter waiter = {.pair = fixture_pair(), .result = -1};
    co_start(ctx, wait_for_pair, &waiter);
    assert_false(drive(ctx, false));
    assert_false(waiter.ended);
    assert_int_equal(handlers(ctx), 1);
    assert_int_equal(fixture_write(waiter.pair.b, "x", 1), 1);
    while (!waiter.ended) {
        drive(ctx, true);
    }
    assert_int_equal(waiter.result, 0);
    assert_int_equal(waiter.byte, 'x');
    assert_int_equal(handlers(ctx), 0);
    fixture_pair_close(&waiter.pair);
    fixture_context_free(ctx);
}

static void waits_until_writable(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Waiter waiter = {.pair = fixture_pair(), .for_writing = true, .result = -1};
    fixture_fill(waiter.pair.a);
    co_start(ctx, wait_for_pair, &waiter);
    assert_false(drive(ctx, false));
    assert_false(waiter.ended);
    char buffer[4096];
    while (fixture_read(waiter.pair.b, buffer, sizeof(buffer)) > 0) {
        continue;
    }
    while (!waiter.ended) {
        drive(ctx, true);
    }
    assert_int_equal(waiter.result, 0);
    assert_int_equal(handlers(ctx), 0);
    fixture_pair_close(&waiter.pair);
    fixture_context_free(ctx);
}

static void peer_that_goes_ends_the_wait(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Waiter waiter = {.pair = fixture_pair(), .result = -1};
    co_start(ctx, wait_for_pair, &waiter);
    fixture_close(waiter.pair.b);
    waiter.pair.b = AIO_HANDLE_NONE;
    while (!waiter.ended) {
        drive(ctx, true);
    }
    assert_int_equal(waiter.result, 0);
    fixture_pair_close(&waiter.pair);
    fixture_context_free(ctx);
}

static void bad_handle_is_an_error_at_once(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Waiter waiter = {.pair = {.a = AIO_HANDLE_NONE, .b = AIO_HANDLE_NONE}};
    co_start(ctx, wait_for_pair, &waiter);
    assert_true(waiter.ended);
    assert_int_equal(waiter.result, -EBADF);
    fixture_context_free(ctx);
}

static void closed_handle_ends_the_wait_with_an_error(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Waiter waiter = {.pair = fixture_pair()};
    fixture_close(waiter.pair.a); /* the number is good, what it names is gone */
    co_start(ctx, wait_for_pair, &waiter);
    for (int i = 0; i < 3 && !waiter.ended; i++) {
        drive(ctx, false);
    }
    assert_true(waiter.ended);
    assert_int_equal(waiter.result, -EBADF);
    waiter.pair.a = AIO_HANDLE_NONE;
    fixture_pair_close(&waiter.pair);
    aio_error_free(aio_context_take_error(ctx));
    fixture_context_free(ctx);
}

typedef struct Cancelled {
    Waiter waiter;
    AioCoroutine *co;
    int limit_result;
    bool ended;
} Cancelled;

static void wait_as_child(void *opaque)
{
    Cancelled *cancelled = opaque;
    cancelled->co = aio_co_self();
    wait_for_pair(&cancelled->waiter);
}

static void wake_child(void *opaque)
{
    Cancelled *cancelled = opaque;
    aio_co_wake(cancelled->co);
}

static void wait_with_a_limit(void *opaque)
{
    Cancelled *cancelled = opaque;
    cancelled->limit_result = aio_co_timeout(wait_as_child, wake_child, cancelled, 2 * MS);
    cancelled->ended = true;
}

static void wake_cancels_the_wait_and_leaves_no_handler(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Cancelled cancelled = {.waiter = {.pair = fixture_pair()}};
    co_start(ctx, wait_with_a_limit, &cancelled);
    while (!cancelled.ended) {
        drive(ctx, true);
    }
    assert_int_equal(cancelled.limit_result, -ETIMEDOUT);
    assert_int_equal(cancelled.waiter.result, -ECANCELED);
    assert_int_equal(handlers(ctx), 0);
    assert_int_equal(fixture_write(cancelled.waiter.pair.b, "x", 1), 1);
    assert_false(drive(ctx, false)); /* nobody is called any more */
    fixture_pair_close(&cancelled.waiter.pair);
    fixture_context_free(ctx);
}

/* Scheduled by another callback of the iteration that finds its descriptor ready. */

typedef struct Rival {
    AioContext *ctx;
    Waiter waiter;
    AioCoroutine *co;
    FixturePair pair;
    bool came_first;
} Rival;

static void wait_with_a_rival(void *opaque)
{
    Rival *rival = opaque;
    wait_for_pair(&rival->waiter);
}

static void schedule_the_waiter(void *opaque)
{
    Rival *rival = opaque;
    aio_handler_remove(rival->ctx, rival->pair.a, fixture_pair_kind());
    if (!rival->waiter.ended) {
        rival->came_first = true;
        aio_co_schedule(rival->ctx, rival->co);
    }
}

static bool run_rival(AioContext *ctx, bool waits_first)
{
    Rival rival = {.ctx = ctx, .waiter = {.pair = fixture_pair()}, .pair = fixture_pair()};
    AioHandlerOps ops = {.size = sizeof(ops), .read = schedule_the_waiter};
    rival.co = co_make(wait_with_a_rival, &rival);
    assert_int_equal(fixture_write(rival.pair.b, "x", 1), 1);
    assert_int_equal(fixture_write(rival.waiter.pair.b, "x", 1), 1);
    if (waits_first) {
        aio_co_enter(ctx, rival.co);
    }
    assert_true(aio_handler_set(ctx, rival.pair.a, fixture_pair_kind(), 0, &ops, &rival, NULL));
    if (!waits_first) {
        aio_co_enter(ctx, rival.co);
    }
    while (!rival.waiter.ended) {
        drive(ctx, true);
    }
    assert_int_equal(rival.waiter.result, 0);
    assert_int_equal(handlers(ctx), 0);
    fixture_pair_close(&rival.pair);
    fixture_pair_close(&rival.waiter.pair);
    return rival.came_first;
}

static void readiness_and_a_wake_in_one_iteration_continue_it_once(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    bool first = false; /* one of the orders in which the poller may report them */
    for (int i = 0; i < 8; i++) {
        first |= run_rival(ctx, i % 4 < 2);
    }
    assert_true(first);
    fixture_context_free(ctx);
}

/* A connection as programs have it: one coroutine reads it, another writes it; at both ends. */

enum { STREAM = 1 << 20 };

typedef struct Stream {
    AioHandle handle;
    int moved;
    bool bad;
    bool ended;
} Stream;

static void send_stream(void *opaque)
{
    Stream *stream = opaque;
    unsigned char block[8192];
    while (stream->moved < STREAM && !stream->bad) {
        for (int i = 0; i < (int)sizeof(block); i++) {
            block[i] = (unsigned char)((stream->moved + i) % 251);
        }
        int left = STREAM - stream->moved;
        size_t size = left < (int)sizeof(block) ? (size_t)left : sizeof(block);
        int ret = fixture_write(stream->handle, block, size);
        if (ret > 0) {
            stream->moved += ret;
        } else {
            stream->bad = aio_co_wait_writable(stream->handle, fixture_pair_kind()) < 0;
        }
    }
    stream->ended = true;
}

static void receive_stream(void *opaque)
{
    Stream *stream = opaque;
    unsigned char block[5000];
    while (stream->moved < STREAM && !stream->bad) {
        int ret = fixture_read(stream->handle, block, sizeof(block));
        for (int i = 0; i < ret; i++) {
            stream->bad = stream->bad || block[i] != (unsigned char)((stream->moved + i) % 251);
        }
        if (ret > 0) {
            stream->moved += ret;
        } else {
            stream->bad =
                stream->bad || aio_co_wait_readable(stream->handle, fixture_pair_kind()) < 0;
        }
    }
    stream->ended = true;
}

static void streams_in_both_directions_arrive(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    FixturePair pair = fixture_pair();
    Stream streams[4];
    for (int i = 0; i < 4; i++) {
        streams[i] = (Stream){.handle = i & 1 ? pair.a : pair.b};
        aio_co_enter(ctx, co_make(i < 2 ? send_stream : receive_stream, &streams[i]));
    }
    for (int i = 0; i < 4; i++) {
        while (!streams[i].ended) {
            drive(ctx, true);
        }
    }
    for (int i = 0; i < 4; i++) {
        assert_false(streams[i].bad);
        assert_int_equal(streams[i].moved, STREAM);
    }
    assert_int_equal(handlers(ctx), 0);
    fixture_pair_close(&pair);
    fixture_context_free(ctx);
}

/* Waiting once more, when a wait was ended while the other direction's was, or was about to be. */

typedef struct Again {
    FixturePair pair;
    AioCoroutine *writer;
    int reads[2];
    int writes[2];
} Again;

static void write_fill_and_wait_again(void *opaque)
{
    Again *again = opaque;
    again->writes[0] = aio_co_wait_writable(again->pair.a, fixture_pair_kind());
    fixture_fill(again->pair.a);
    again->writes[1] = aio_co_wait_writable(again->pair.a, fixture_pair_kind());
}

static void end_the_wait_of_the_writer(void *opaque)
{
    Again *again = opaque;
    again->reads[0] = aio_co_wait_readable(again->pair.a, fixture_pair_kind());
    aio_co_wake(again->writer); /* it runs when this one waits again */
    fixture_read(again->pair.a, &(char){0}, 1);
    again->reads[1] = aio_co_wait_readable(again->pair.a, fixture_pair_kind());
}

static void what_both_were_found_ready_for_does_not_end_a_later_wait(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Again again = {.pair = fixture_pair(), .reads = {1, 1}, .writes = {1, 1}};
    again.writer = co_make(write_fill_and_wait_again, &again);
    aio_co_enter(ctx, again.writer);
    co_start(ctx, end_the_wait_of_the_writer, &again);
    assert_int_equal(fixture_write(again.pair.b, "x", 1), 1);
    drive(ctx, false);
    drive(ctx, false);
    assert_int_equal(again.reads[0], 0);
    assert_int_equal(again.writes[0], -ECANCELED);
    assert_int_equal(again.writes[1], 1); /* it waits: the descriptor is full */
    aio_co_wake(again.writer);
    assert_int_equal(again.writes[1], -ECANCELED);
    assert_int_equal(fixture_write(again.pair.b, "x", 1), 1);
    drive(ctx, false);
    assert_int_equal(again.reads[1], 0);
    fixture_pair_close(&again.pair);
    fixture_context_free(ctx);
}

static void read_twice(void *opaque)
{
    Again *again = opaque;
    again->reads[0] = aio_co_wait_readable(again->pair.a, fixture_pair_kind());
    again->reads[1] = aio_co_wait_readable(again->pair.a, fixture_pair_kind());
}

static void write_twice(void *opaque)
{
    Again *again = opaque;
    again->writes[0] = aio_co_wait_writable(again->pair.a, fixture_pair_kind());
    again->writes[1] = aio_co_wait_writable(again->pair.a, fixture_pair_kind());
}

static void waiting_again_for_a_handle_that_failed_fails_again(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Again again = {.pair = fixture_pair(), .reads = {1, 1}, .writes = {1, 1}};
    fixture_close(again.pair.a); /* the number is good, what it names is gone */
    co_start(ctx, read_twice, &again);
    co_start(ctx, write_twice, &again);
    for (int i = 0; i < 5; i++) {
        drive(ctx, false);
    }
    assert_int_equal(again.reads[0], -EBADF);
    assert_int_equal(again.reads[1], -EBADF);
    assert_int_equal(again.writes[0], -EBADF);
    assert_int_equal(again.writes[1], -EBADF);
    again.pair.a = AIO_HANDLE_NONE;
    fixture_pair_close(&again.pair);
    aio_error_free(aio_context_take_error(ctx));
    fixture_context_free(ctx);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(waits_until_readable_and_leaves_no_handler),
    cmocka_unit_test(waits_until_writable),
    cmocka_unit_test(peer_that_goes_ends_the_wait),
    cmocka_unit_test(bad_handle_is_an_error_at_once),
    cmocka_unit_test(closed_handle_ends_the_wait_with_an_error),
    cmocka_unit_test(wake_cancels_the_wait_and_leaves_no_handler),
    cmocka_unit_test(readiness_and_a_wake_in_one_iteration_continue_it_once),
    cmocka_unit_test(what_both_were_found_ready_for_does_not_end_a_later_wait),
    cmocka_unit_test(waiting_again_for_a_handle_that_failed_fails_again),
    cmocka_unit_test(streams_in_both_directions_arrive),
};
TEST_MAIN(tests)
