/*
 * Two coroutines that wait for one descriptor, one for each direction, and who else would like to have it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdatomic.h>

#include "tests/co_help.h"

#define PENDING 1 /* the result of a wait that is not over */

typedef struct Side {
    AioCoroutine *co;
    AioHandle handle;
    bool writes;
    int result;
    int rounds;            /* how many times it waits; 0: once */
    struct Side *end;      /* to be woken when this one's wait is over; or NULL */
    AioContext *remove_in; /* remove the handler when the wait is over; or NULL */
} Side;

static int wait_for(Side *side)
{
    return side->writes ? aio_co_wait_writable(side->handle, fixture_pair_kind())
                        : aio_co_wait_readable(side->handle, fixture_pair_kind());
}

static void wait_once(void *opaque)
{
    Side *side = opaque;
    side->co = aio_co_self();
    side->result = wait_for(side);
    if (side->end && side->end->result == PENDING) {
        aio_co_wake(side->end->co);
    }
    if (side->remove_in) {
        aio_handler_remove(side->remove_in, side->handle, fixture_pair_kind());
    }
}

typedef struct Scene {
    AioContext *ctx;
    FixturePair pair; /* the coroutines wait for `a` */
    Side reader;
    Side writer;
    atomic_bool closed; /* `a`, by another thread */
} Scene;

static uint64_t handlers(Scene *scene)
{
    AioContextInfo info = {.size = sizeof(info)};
    aio_context_info(scene->ctx, &info);
    return info.handlers;
}

static void start(Scene *scene, Side *side)
{
    side->result = PENDING;
    side->co = co_make(wait_once, side);
    aio_co_enter(scene->ctx, side->co);
}

/* Neither direction is ready. */
static Scene quiet(void)
{
    Scene scene = {.ctx = fixture_context(), .pair = fixture_pair()};
    aio_context_bind(scene.ctx);
    fixture_fill(scene.pair.a);
    scene.reader = (Side){.handle = scene.pair.a};
    scene.writer = (Side){.handle = scene.pair.a, .writes = true};
    return scene;
}

static void start_both(Scene *scene, bool writer_first)
{
    start(scene, writer_first ? &scene->writer : &scene->reader);
    start(scene, writer_first ? &scene->reader : &scene->writer);
    assert_false(drive(scene->ctx, false));
    assert_int_equal(scene->reader.result, PENDING);
    assert_int_equal(scene->writer.result, PENDING);
    assert_int_equal(handlers(scene), 1);
}

static void make_readable(Scene *scene)
{
    assert_int_equal(fixture_write(scene->pair.b, "x", 1), 1);
}

static void make_writable(Scene *scene)
{
    char buffer[4096];
    while (fixture_read(scene->pair.b, buffer, sizeof(buffer)) > 0) {
        continue;
    }
}

/* Nobody waits any more, and no handler is left. */
static void finish(Scene *scene)
{
    assert_int_equal(handlers(scene), 0);
    fixture_pair_close(&scene->pair);
    fixture_context_free(scene->ctx);
}

static void until_over(Scene *scene, Side *side)
{
    while (side->result == PENDING) {
        drive(scene->ctx, true);
    }
}

static void each_direction_has_a_waiter_of_its_own(void **state)
{
    (void)state;
    for (int order = 0; order < 4; order++) {
        Scene scene = quiet();
        bool writable_first = order & 1;
        start_both(&scene, order & 2);
        Side *first = writable_first ? &scene.writer : &scene.reader;
        Side *second = writable_first ? &scene.reader : &scene.writer;
        writable_first ? make_writable(&scene) : make_readable(&scene);
        until_over(&scene, first);
        assert_int_equal(first->result, 0);
        assert_int_equal(second->result, PENDING);
        assert_int_equal(handlers(&scene), 1);
        writable_first ? make_readable(&scene) : make_writable(&scene);
        until_over(&scene, second);
        assert_int_equal(second->result, 0);
        finish(&scene);
    }
}

static void both_directions_ready_at_once_wake_both_in_one_iteration(void **state)
{
    (void)state;
    Scene scene = quiet();
    start_both(&scene, false);
    make_readable(&scene);
    make_writable(&scene);
    assert_true(drive(scene.ctx, true));
    assert_int_equal(scene.reader.result, 0);
    assert_int_equal(scene.writer.result, 0);
    finish(&scene);
}

/* Reads nothing, so that it is always readable. */
static void wait_again_and_again(void *opaque)
{
    Side *side = opaque;
    side->co = aio_co_self();
    for (int i = 0; i < side->rounds; i++) {
        int ret = wait_for(side);
        if (ret < 0) {
            side->result = ret;
            return;
        }
    }
    side->result = 0;
}

static void a_reader_that_never_rests_does_not_starve_the_writer(void **state)
{
    (void)state;
    Scene scene = quiet();
    scene.reader.rounds = 1000;
    scene.reader.result = PENDING;
    make_readable(&scene);
    make_writable(&scene);
    aio_co_enter(scene.ctx, co_make(wait_again_and_again, &scene.reader));
    start(&scene, &scene.writer);
    for (int i = 0; i < 10; i++) {
        drive(scene.ctx, true);
    }
    assert_int_equal(scene.writer.result, 0);
    assert_int_equal(scene.reader.result, PENDING);
    until_over(&scene, &scene.reader);
    assert_int_equal(scene.reader.result, 0);
    finish(&scene);
}

static void a_second_waiter_for_a_direction_is_refused(void **state)
{
    (void)state;
    for (int both = 0; both < 2; both++) {
        for (int writes = 0; writes < 2; writes++) {
            Scene scene = quiet();
            Side *first = writes ? &scene.writer : &scene.reader;
            Side second = {.handle = scene.pair.a, .writes = writes};
            if (both) {
                start_both(&scene, writes);
            } else {
                start(&scene, first);
            }
            start(&scene, &second);
            assert_int_equal(second.result, -EBUSY);
            assert_int_equal(first->result, PENDING);
            make_readable(&scene);
            make_writable(&scene);
            until_over(&scene, first);
            assert_int_equal(first->result, 0);
            if (both) {
                until_over(&scene, writes ? &scene.reader : &scene.writer);
            }
            finish(&scene);
        }
    }
}

static void count(void *opaque)
{
    ++*(int *)opaque;
}

static void the_handler_of_a_user_is_not_taken(void **state)
{
    (void)state;
    Scene scene = quiet();
    int calls = 0;
    AioHandlerOps ops = {.size = sizeof(ops), .read = count};
    assert_true(
        aio_handler_set(scene.ctx, scene.pair.a, fixture_pair_kind(), 0, &ops, &calls, NULL));
    start(&scene, &scene.reader);
    start(&scene, &scene.writer);
    assert_int_equal(scene.reader.result, -EBUSY);
    assert_int_equal(scene.writer.result, -EBUSY);
    make_readable(&scene);
    assert_true(drive(scene.ctx, true));
    assert_int_equal(calls, 1); /* it works on */
    aio_handler_remove(scene.ctx, scene.pair.a, fixture_pair_kind());
    finish(&scene);
}

static void waking_one_leaves_the_other_waiting(void **state)
{
    (void)state;
    for (int writes = 0; writes < 2; writes++) {
        Scene scene = quiet();
        Side *cancelled = writes ? &scene.writer : &scene.reader;
        Side *other = writes ? &scene.reader : &scene.writer;
        start_both(&scene, false);
        aio_co_wake(cancelled->co);
        assert_int_equal(cancelled->result, -ECANCELED);
        assert_int_equal(other->result, PENDING);
        assert_int_equal(handlers(&scene), 1);
        /* The direction that nobody waits for is not listened to any more. */
        writes ? make_writable(&scene) : make_readable(&scene);
        assert_false(drive(scene.ctx, false));
        start(&scene, cancelled); /* and may be waited for again */
        until_over(&scene, cancelled);
        assert_int_equal(cancelled->result, 0);
        assert_int_equal(other->result, PENDING);
        writes ? make_readable(&scene) : make_writable(&scene);
        until_over(&scene, other);
        assert_int_equal(other->result, 0);
        finish(&scene);
    }
}

/* Whichever side is ready first ends the other's wait, by waking it or by removing the handler. */
static void run_ending(bool removes)
{
    for (int ready = 1; ready < 4; ready++) {
        Scene scene = quiet();
        start_both(&scene, false);
        scene.reader.end = removes ? NULL : &scene.writer;
        scene.writer.end = removes ? NULL : &scene.reader;
        scene.reader.remove_in = scene.writer.remove_in = removes ? scene.ctx : NULL;
        if (ready & 1) {
            make_readable(&scene);
        }
        if (ready & 2) {
            make_writable(&scene);
        }
        until_over(&scene, &scene.reader);
        until_over(&scene, &scene.writer);
        assert_int_equal(scene.reader.result, ready & 1 ? 0 : -ECANCELED);
        assert_int_equal(scene.writer.result, ready & 1 ? -ECANCELED : 0);
        finish(&scene);
    }
}

static void one_may_end_the_wait_of_the_other(void **state)
{
    (void)state;
    run_ending(false);
}

/* What was found for one that was woken is no news to the next that waits for that direction. */

static void read_all_and_wait_again(void *opaque)
{
    Side *side = opaque;
    char byte;
    wait_once(side);
    while (fixture_read(side->handle, &byte, 1) > 0) {
        continue;
    }
    side->result = PENDING;
    side->rounds++;
    side->result = wait_for(side);
}

typedef struct Waker {
    Scene *scene;
    FixturePair pair;
} Waker;

static void wake_the_reader(void *opaque)
{
    Waker *waker = opaque;
    aio_handler_remove(waker->scene->ctx, waker->pair.a, fixture_pair_kind());
    if (waker->scene->reader.rounds == 0) {
        aio_co_wake(waker->scene->reader.co);
    }
}

static void what_was_found_for_a_cancelled_wait_does_not_end_the_next(void **state)
{
    (void)state;
    for (int order = 0; order < 2; order++) {
        Scene scene = quiet();
        Waker waker = {.scene = &scene, .pair = fixture_pair()};
        AioHandlerOps ops = {.size = sizeof(ops), .read = wake_the_reader};
        scene.reader.result = PENDING;
        if (order) {
            start(&scene, &scene.writer);
            aio_co_enter(scene.ctx, co_make(read_all_and_wait_again, &scene.reader));
        }
        assert_true(
            aio_handler_set(scene.ctx, waker.pair.a, fixture_pair_kind(), 0, &ops, &waker, NULL));
        if (!order) {
            start(&scene, &scene.writer);
            aio_co_enter(scene.ctx, co_make(read_all_and_wait_again, &scene.reader));
        }
        assert_int_equal(fixture_write(waker.pair.b, "x", 1), 1);
        make_readable(&scene);
        for (int i = 0; i < 3; i++) {
            drive(scene.ctx, false);
        }
        assert_int_equal(scene.reader.rounds, 1);
        assert_int_equal(scene.reader.result, PENDING);
        make_readable(&scene);
        make_writable(&scene);
        until_over(&scene, &scene.reader);
        until_over(&scene, &scene.writer);
        fixture_pair_close(&waker.pair);
        finish(&scene);
    }
}

static void removing_the_handler_ends_both_waits(void **state)
{
    (void)state;
    Scene scene = quiet();
    start_both(&scene, false);
    aio_handler_remove(scene.ctx, scene.pair.a, fixture_pair_kind());
    assert_int_equal(handlers(&scene), 0);
    assert_int_equal(scene.reader.result, PENDING); /* not from inside that call */
    assert_int_equal(scene.writer.result, PENDING);
    fixture_pair_close(&scene.pair); /* the descriptor may go at once */
    scene.pair = fixture_pair();     /* and its number may come again */
    drive(scene.ctx, false);
    assert_int_equal(scene.reader.result, -ECANCELED);
    assert_int_equal(scene.writer.result, -ECANCELED);
    finish(&scene);
}

static void replacing_the_handler_ends_both_waits(void **state)
{
    (void)state;
    Scene scene = quiet();
    int calls = 0;
    AioHandlerOps ops = {.size = sizeof(ops), .read = count};
    start_both(&scene, true);
    make_readable(&scene);
    assert_true(
        aio_handler_set(scene.ctx, scene.pair.a, fixture_pair_kind(), 0, &ops, &calls, NULL));
    drive(scene.ctx, false);
    assert_int_equal(scene.reader.result, -ECANCELED);
    assert_int_equal(scene.writer.result, -ECANCELED);
    assert_int_equal(calls, 1);
    assert_int_equal(handlers(&scene), 1);
    aio_handler_remove(scene.ctx, scene.pair.a, fixture_pair_kind());
    finish(&scene);
}

static void one_may_remove_the_handler_while_the_other_waits(void **state)
{
    (void)state;
    run_ending(true);
}

static void remove_and_wait(void *opaque)
{
    Scene *scene = opaque;
    aio_handler_remove_wait(scene->ctx, scene->pair.a, fixture_pair_kind());
    fixture_close(scene->pair.a);
    atomic_store(&scene->closed, true);
    aio_notify(scene->ctx);
}

static void another_thread_removes_the_handler_and_closes(void **state)
{
    (void)state;
    Scene scene = quiet();
    start_both(&scene, false);
    FixtureThread *thread = fixture_thread_start(remove_and_wait, &scene);
    until_over(&scene, &scene.reader);
    until_over(&scene, &scene.writer);
    while (!atomic_load(&scene.closed)) {
        drive(scene.ctx, true); /* the poller may let go of it a wait later */
    }
    fixture_thread_join(thread);
    scene.pair.a = AIO_HANDLE_NONE;
    assert_int_equal(scene.reader.result, -ECANCELED);
    assert_int_equal(scene.writer.result, -ECANCELED);
    finish(&scene);
}

static void a_handle_that_can_not_be_watched_ends_both_waits(void **state)
{
    (void)state;
    for (int ends = 0; ends < 2; ends++) {
        Scene scene = quiet();
        fixture_close(scene.pair.a); /* the number is good, what it names is gone */
        start(&scene, &scene.reader);
        start(&scene, &scene.writer);
        scene.reader.end = ends ? &scene.writer : NULL;
        scene.writer.end = ends ? &scene.reader : NULL;
        for (int i = 0; i < 3; i++) {
            drive(scene.ctx, false);
        }
        scene.pair.a = AIO_HANDLE_NONE;
        int results = scene.reader.result + scene.writer.result;
        /* The one that is told first ends the other's wait, or not; either way each is over once. */
        assert_int_equal(results, ends ? -EBADF - ECANCELED : -EBADF - EBADF);
        aio_error_free(aio_context_take_error(scene.ctx));
        finish(&scene);
    }
}

typedef struct Limited {
    Side *side;
    int64_t duration_ns;
    int result;
} Limited;

static void wait_limited(void *opaque)
{
    Limited *limited = opaque;
    wait_once(limited->side);
}

static void wake_limited(void *opaque)
{
    Limited *limited = opaque;
    aio_co_wake(limited->side->co);
}

static void wait_with_a_limit(void *opaque)
{
    Limited *limited = opaque;
    limited->result = aio_co_timeout(wait_limited, wake_limited, limited, limited->duration_ns);
}

static void time_that_is_up_for_one_leaves_the_other_waiting(void **state)
{
    (void)state;
    for (int writes = 0; writes < 2; writes++) {
        Scene scene = quiet();
        Side *late = writes ? &scene.writer : &scene.reader;
        Side *other = writes ? &scene.reader : &scene.writer;
        Limited limited = {.side = late, .duration_ns = 2000000, .result = PENDING};
        start(&scene, other);
        late->result = PENDING;
        aio_co_enter(scene.ctx, co_make(wait_with_a_limit, &limited));
        while (limited.result == PENDING) {
            drive(scene.ctx, true);
        }
        assert_int_equal(limited.result, -ETIMEDOUT);
        assert_int_equal(late->result, -ECANCELED);
        assert_int_equal(other->result, PENDING);
        writes ? make_readable(&scene) : make_writable(&scene);
        until_over(&scene, other);
        assert_int_equal(other->result, 0);
        finish(&scene);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_direction_has_a_waiter_of_its_own),
    cmocka_unit_test(both_directions_ready_at_once_wake_both_in_one_iteration),
    cmocka_unit_test(a_reader_that_never_rests_does_not_starve_the_writer),
    cmocka_unit_test(a_second_waiter_for_a_direction_is_refused),
    cmocka_unit_test(the_handler_of_a_user_is_not_taken),
    cmocka_unit_test(waking_one_leaves_the_other_waiting),
    cmocka_unit_test(one_may_end_the_wait_of_the_other),
    cmocka_unit_test(what_was_found_for_a_cancelled_wait_does_not_end_the_next),
    cmocka_unit_test(removing_the_handler_ends_both_waits),
    cmocka_unit_test(replacing_the_handler_ends_both_waits),
    cmocka_unit_test(one_may_remove_the_handler_while_the_other_waits),
    cmocka_unit_test(another_thread_removes_the_handler_and_closes),
    cmocka_unit_test(a_handle_that_can_not_be_watched_ends_both_waits),
    cmocka_unit_test(time_that_is_up_for_one_leaves_the_other_waiting),
};
TEST_MAIN(tests)
