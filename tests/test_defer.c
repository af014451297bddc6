/*
 * Calls put off to the end of a section.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/alloc.h"
#include "core/defer.h"
#include "tests/fixture.h"

typedef struct Bell Bell;

/* Notes the order in which bells are rung. */
typedef struct Log {
    Bell *bells[4096];
    int count;
} Log;

struct Bell {
    Log *log;
    Bell *next;   /* rung by a deferred call from the callback */
    bool section; /* in a section of the callback's own */
    int seen;     /* entries of the log after that section */
};

static void ring(void *opaque)
{
    Bell *bell = opaque;
    bell->log->bells[bell->log->count++] = bell;
    if (bell->section) {
        aio_defer_begin();
    }
    if (bell->next) {
        aio_defer_call(ring, bell->next);
    }
    if (bell->section) {
        aio_defer_end();
        bell->seen = bell->log->count;
    }
}

static void other_ring(void *opaque)
{
    ring(opaque);
}

static void outside_of_a_section_it_is_called_at_once(void **state)
{
    (void)state;
    Log log = {.count = 0};
    Bell bell = {.log = &log};
    aio_defer_call(ring, &bell);
    aio_defer_call(ring, &bell);
    assert_int_equal(log.count, 2);
}

static void equal_calls_are_one_in_the_order_of_the_first(void **state)
{
    (void)state;
    Log log = {.count = 0};
    Bell a = {.log = &log}, b = {.log = &log};
    aio_defer_begin();
    aio_defer_call(ring, &a);
    aio_defer_call(ring, &b);
    aio_defer_call(ring, &a);
    aio_defer_call(other_ring, &a); /* not equal */
    aio_defer_call(ring, &b);
    assert_int_equal(log.count, 0);
    aio_defer_end();
    assert_int_equal(log.count, 3);
    assert_ptr_equal(log.bells[0], &a);
    assert_ptr_equal(log.bells[1], &b);
    assert_ptr_equal(log.bells[2], &a);
    aio_defer_begin(); /* nothing is left over */
    aio_defer_end();
    assert_int_equal(log.count, 3);
}

static void sections_nest_and_the_outermost_ends(void **state)
{
    (void)state;
    Log log = {.count = 0};
    Bell a = {.log = &log}, b = {.log = &log};
    aio_defer_begin();
    for (int i = 0; i < 3; i++) {
        aio_defer_begin();
        aio_defer_call(ring, &a);
        aio_defer_begin();
        aio_defer_call(ring, &b);
        aio_defer_end();
        aio_defer_end();
        assert_int_equal(log.count, 0);
    }
    aio_defer_end();
    assert_int_equal(log.count, 2);
    aio_defer_call(ring, &a);
    assert_int_equal(log.count, 3);
}

static void a_deferred_call_may_call_and_open_sections(void **state)
{
    (void)state;
    Log log = {.count = 0};
    Bell c = {.log = &log};
    Bell b = {.log = &log, .next = &c, .section = true};
    Bell a = {.log = &log, .next = &b};
    aio_defer_begin();
    aio_defer_call(ring, &a);
    aio_defer_call(ring, &c);
    aio_defer_end();
    /* a rings b at once, since its section is over; b's own section rings c; then the second call. */
    Bell *expected[] = {&a, &b, &c, &c};
    assert_int_equal(log.count, 4);
    assert_memory_equal(log.bells, expected, sizeof(expected));
    assert_int_equal(b.seen, 3);
}

static void many_calls_keep_their_order(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static Log log;
    static Bell bells[COUNT];
    for (int round = 0; round < 2; round++) {
        log.count = 0;
        aio_defer_begin();
        for (int i = 0; i < 2 * COUNT; i++) {
            bells[i % COUNT].log = &log;
            aio_defer_call(ring, &bells[i % COUNT]);
        }
        assert_int_equal(log.count, 0);
        aio_defer_end();
        assert_int_equal(log.count, COUNT);
        for (int i = 0; i < COUNT; i++) {
            assert_ptr_equal(log.bells[i], &bells[i]);
        }
    }
}

static void few_need_no_memory_and_without_it_the_rest_is_called_at_once(void **state)
{
    (void)state;
    enum { COUNT = 100 };
    Log log = {.count = 0};
    Bell bells[COUNT];
    aio__alloc_refuse_all(true);
    aio_defer_begin();
    for (int i = 0; i < COUNT; i++) {
        bells[i] = (Bell){.log = &log};
        aio_defer_call(ring, &bells[i]);
        if (i == 7) {
            assert_false(aio__alloc_failed());
        }
    }
    int at_once = log.count;
    assert_true(at_once > 0 && at_once < COUNT - 7);
    aio_defer_end();
    aio__alloc_refuse_all(false);
    assert_int_equal(log.count, COUNT); /* each exactly once */
    for (int i = 0; i < COUNT; i++) {
        int rung = 0;
        for (int j = 0; j < log.count; j++) {
            rung += log.bells[j] == &bells[i];
        }
        assert_int_equal(rung, 1);
    }
}

static void what_is_taken_back_is_not_called_and_the_rest_keeps_its_order(void **state)
{
    (void)state;
    enum { COUNT = 40 }; /* more than need no memory */
    for (int count = 3; count <= COUNT; count += COUNT - 3) {
        Log log = {.count = 0};
        Bell bells[COUNT];
        assert_false(aio__defer_take_back(ring, &bells[0]));
        aio_defer_begin();
        for (int i = 0; i < count; i++) {
            bells[i] = (Bell){.log = &log};
            aio_defer_call(ring, &bells[i]);
        }
        assert_true(aio__defer_take_back(ring, &bells[1]));
        assert_false(aio__defer_take_back(ring, &bells[1]));
        assert_false(aio__defer_take_back(other_ring, &bells[0]));
        assert_true(aio__defer_take_back(ring, &bells[count - 1]));
        aio_defer_call(ring, &bells[1]); /* it may come again, as the last */
        aio_defer_end();
        assert_int_equal(log.count, count - 1);
        assert_ptr_equal(log.bells[0], &bells[0]);
        for (int i = 1; i < count - 2; i++) {
            assert_ptr_equal(log.bells[i], &bells[i + 1]);
        }
        assert_ptr_equal(log.bells[count - 2], &bells[1]);
    }
}

static void defer_elsewhere(void *opaque)
{
    aio_defer_call(ring, opaque);
}

static void each_thread_has_sections_of_its_own(void **state)
{
    (void)state;
    Log log = {.count = 0};
    Bell bell = {.log = &log};
    aio_defer_begin();
    FixtureThread *thread = fixture_thread_start(defer_elsewhere, &bell);
    fixture_thread_join(thread);
    assert_int_equal(log.count, 1);
    aio_defer_end();
    assert_int_equal(log.count, 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(outside_of_a_section_it_is_called_at_once),
    cmocka_unit_test(equal_calls_are_one_in_the_order_of_the_first),
    cmocka_unit_test(sections_nest_and_the_outermost_ends),
    cmocka_unit_test(a_deferred_call_may_call_and_open_sections),
    cmocka_unit_test(many_calls_keep_their_order),
    cmocka_unit_test(few_need_no_memory_and_without_it_the_rest_is_called_at_once),
    cmocka_unit_test(what_is_taken_back_is_not_called_and_the_rest_keeps_its_order),
    cmocka_unit_test(each_thread_has_sections_of_its_own),
};

TEST_MAIN(tests)
