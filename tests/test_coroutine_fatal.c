/*
 * What is fatal: entering, waking, yielding and ending at the wrong moment, and what is said then.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/co_help.h"

static void forever(void *opaque)
{
    (void)opaque;
    for (;;) {
        aio_co_yield();
    }
}

static void enter_itself(void *opaque)
{
    (void)opaque;
    aio_co_resume(aio_co_self());
}

static void die_by_entering_twice(void *arg)
{
    (void)arg;
    aio_co_enter(NULL, aio_co_create(enter_itself, NULL));
}

static void entering_an_entered_one_is_fatal_and_names_both_places(void **state)
{
    (void)state;
    assert_true(fixture_dies(die_by_entering_twice, NULL, "aio_co_resume: coroutine 0x"));
    assert_true(fixture_dies(die_by_entering_twice, NULL,
                             "was entered by aio_co_enter and has not yielded"));
}

static void wake_then_resume(void *other)
{
    aio_co_wake(other);
    aio_co_resume(other);
}

static void die_by_entering_a_woken_one(void *arg)
{
    (void)arg;
    aio_co_resume(aio_co_create(wake_then_resume, aio_co_create(forever, NULL)));
}

static void entering_a_woken_one_is_fatal_and_names_both_places(void **state)
{
    (void)state;
    assert_true(fixture_dies(die_by_entering_a_woken_one, NULL, "aio_co_resume: coroutine 0x"));
    assert_true(
        fixture_dies(die_by_entering_a_woken_one, NULL, "is scheduled already, by aio_co_wake"));
}

static void wake_twice(void *other)
{
    aio_co_wake(other);
    aio_co_enter(NULL, other);
}

static void die_by_waking_twice(void *arg)
{
    (void)arg;
    aio_co_resume(aio_co_create(wake_twice, aio_co_create(forever, NULL)));
}

static void waking_twice_is_fatal_and_names_both_places(void **state)
{
    (void)state;
    assert_true(fixture_dies(die_by_waking_twice, NULL, "aio_co_enter: coroutine 0x"));
    assert_true(fixture_dies(die_by_waking_twice, NULL, "is scheduled already, by aio_co_wake"));
}

static void die_by_yielding_outside(void *arg)
{
    (void)arg;
    aio_co_yield();
}

static void yielding_outside_of_a_coroutine_is_fatal(void **state)
{
    (void)state;
    assert_true(
        fixture_dies(die_by_yielding_outside, NULL, "aio_co_yield: not inside a coroutine"));
}

static void die_by_entering_an_ended_one(void *arg)
{
    (void)arg;
    AioCoroutine *co = aio_co_create(co_nothing, NULL);
    aio_co_enter(NULL, co);
    aio_co_resume(co);
}

static void entering_an_ended_one_is_fatal_and_names_both_places(void **state)
{
    (void)state;
    assert_true(fixture_dies(die_by_entering_an_ended_one, NULL, "aio_co_resume: coroutine 0x"));
    assert_true(fixture_dies(die_by_entering_an_ended_one, NULL,
                             "has ended; the last to enter it was aio_co_enter"));
}

static void wake_self_and_end(void *arg)
{
    (void)arg;
    aio_co_wake(aio_co_self());
}

static void die_by_ending_scheduled(void *arg)
{
    (void)arg;
    aio_co_resume(aio_co_create(wake_self_and_end, NULL));
}

static void ending_while_woken_is_fatal(void **state)
{
    (void)state;
    assert_true(
        fixture_dies(die_by_ending_scheduled, NULL, "is scheduled already, by aio_co_wake"));
}

static void die_by_entering_a_thread(void *arg)
{
    (void)arg;
    aio_co_resume(aio_co_self());
}

static void entering_a_thread_is_fatal(void **state)
{
    (void)state;
    assert_true(fixture_dies(die_by_entering_a_thread, NULL, "is a thread, not a coroutine"));
}

static void lock_and_end(void *mutex)
{
    aio_co_mutex_lock(mutex);
}

static void die_holding_a_mutex(void *arg)
{
    AioCoMutex mutex = {0};
    (void)arg;
    aio_co_resume(aio_co_create(lock_and_end, &mutex));
}

static void ending_with_a_mutex_held_is_fatal(void **state)
{
    (void)state;
    assert_true(fixture_dies(die_holding_a_mutex, NULL, "has ended and holds a mutex"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(entering_an_entered_one_is_fatal_and_names_both_places),
    cmocka_unit_test(entering_a_woken_one_is_fatal_and_names_both_places),
    cmocka_unit_test(waking_twice_is_fatal_and_names_both_places),
    cmocka_unit_test(yielding_outside_of_a_coroutine_is_fatal),
    cmocka_unit_test(entering_an_ended_one_is_fatal_and_names_both_places),
    cmocka_unit_test(ending_while_woken_is_fatal),
    cmocka_unit_test(entering_a_thread_is_fatal),
    cmocka_unit_test(ending_with_a_mutex_held_is_fatal),
};
TEST_MAIN(tests)
