/*
 * Coroutines are fibers on Windows: threads are left as they were found, whatever they were.
 *
 * SPDX-License-Identifier: MIT
 */
#define WIN32_LEAN_AND_MEAN
#define _WIN32_WINNT 0x0602
#include <windows.h>

#include "tests/fixture.h"

typedef struct Visit {
    AioCoroutine *co;
    int turns;
    int as_fiber;      /* turns that found themselves in a fiber */
    bool on_its_stack; /* the stack's bounds are those of the coroutine */
    bool thread_is_a_fiber;
    void *fiber;
} Visit;

/* gcc takes the thread's block, at address 0 of a segment, for a null pointer once it optimises. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Warray-bounds"
static void *current_fiber(void)
{
    return GetCurrentFiber();
}

static void *current_fiber_data(void)
{
    return GetFiberData();
}
#pragma GCC diagnostic pop

static bool is_on_this_stack(const void *place)
{
    ULONG_PTR low, high;
    GetCurrentThreadStackLimits(&low, &high);
    return (ULONG_PTR)place >= low && (ULONG_PTR)place < high;
}

static void take_turns(void *opaque)
{
    Visit *visit = opaque;
    visit->on_its_stack = true;
    for (int i = 0; i < 3; i++) {
        visit->turns++;
        visit->as_fiber += IsThreadAFiber() ? 1 : 0;
        visit->on_its_stack &= is_on_this_stack(&i);
        if (i < 2) {
            aio_co_yield();
        }
    }
}

static void begin(Visit *visit)
{
    *visit = (Visit){.turns = 0};
    visit->co = aio_co_create(take_turns, visit);
    assert_non_null(visit->co);
}

static void thread_is_a_fiber_only_while_inside(void **state)
{
    (void)state;
    Visit visit;
    begin(&visit);
    assert_false(IsThreadAFiber());
    for (int i = 1; i <= 3; i++) {
        aio_co_enter(NULL, visit.co);
        assert_int_equal(visit.turns, i);
        assert_int_equal(visit.as_fiber, i);
        assert_true(visit.on_its_stack);
        assert_false(IsThreadAFiber());
        assert_true(is_on_this_stack(&i));
    }
}

static void thread_that_is_a_fiber_stays_the_same_one(void **state)
{
    (void)state;
    int mark = 0;
    Visit visit;
    begin(&visit);
    void *fiber = ConvertThreadToFiber(&mark);
    assert_non_null(fiber);
    for (int i = 1; i <= 3; i++) {
        aio_co_enter(NULL, visit.co);
        assert_int_equal(visit.turns, i);
        assert_true(IsThreadAFiber());
        assert_ptr_equal(current_fiber(), fiber);
        assert_ptr_equal(current_fiber_data(), &mark);
    }
    assert_true(ConvertFiberToThread());
    assert_false(IsThreadAFiber());
}

/* A fiber of the program's own that enters a coroutine; then back to whoever switched to it. */
static void CALLBACK enter_from_a_fiber(void *opaque)
{
    Visit *visit = opaque;
    for (;;) {
        aio_co_enter(NULL, visit->co);
        visit->thread_is_a_fiber = IsThreadAFiber();
        SwitchToFiber(visit->fiber);
    }
}

static void coroutines_are_entered_from_fibers_of_the_program(void **state)
{
    (void)state;
    Visit visits[2];
    void *fibers[2];
    void *mine = ConvertThreadToFiber(NULL);
    assert_non_null(mine);
    for (int i = 0; i < 2; i++) {
        begin(&visits[i]);
        visits[i].fiber = mine;
        fibers[i] = CreateFiber(0, enter_from_a_fiber, &visits[i]);
        assert_non_null(fibers[i]);
    }
    for (int turn = 1; turn <= 3; turn++) { /* in turn, each back on the fiber that it left */
        for (int i = 0; i < 2; i++) {
            SwitchToFiber(fibers[i]);
            assert_int_equal(visits[i].turns, turn);
            assert_true(visits[i].thread_is_a_fiber);
            assert_ptr_equal(current_fiber(), mine);
        }
    }
    DeleteFiber(fibers[0]);
    DeleteFiber(fibers[1]);
    assert_true(ConvertFiberToThread());
}

static void enter_in_a_thread(void *opaque)
{
    Visit *visit = opaque;
    aio_co_enter(NULL, visit->co);
    visit->thread_is_a_fiber = IsThreadAFiber();
}

static void coroutine_that_goes_on_in_another_thread_leaves_both_as_they_were(void **state)
{
    (void)state;
    Visit visit;
    begin(&visit);
    aio_co_enter(NULL, visit.co);
    assert_false(IsThreadAFiber());
    fixture_thread_join(fixture_thread_start(enter_in_a_thread, &visit));
    assert_int_equal(visit.turns, 2);
    assert_false(visit.thread_is_a_fiber);
    assert_true(visit.on_its_stack);
    aio_co_enter(NULL, visit.co);
    assert_int_equal(visit.turns, 3);
    assert_true(visit.on_its_stack);
    assert_false(IsThreadAFiber());
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(thread_is_a_fiber_only_while_inside),
    cmocka_unit_test(thread_that_is_a_fiber_stays_the_same_one),
    cmocka_unit_test(coroutines_are_entered_from_fibers_of_the_program),
    cmocka_unit_test(coroutine_that_goes_on_in_another_thread_leaves_both_as_they_were),
};
TEST_MAIN(tests)
