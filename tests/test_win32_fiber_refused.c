/*
 * What becomes of coroutines where the system refuses fibers. The linker's --wrap puts the pointers below in the place of
 * those through which the library calls the system.
 *
 * SPDX-License-Identifier: MIT
 */
#define WIN32_LEAN_AND_MEAN
#define _WIN32_WINNT 0x0602
#include <windows.h>

#include <errno.h>
#include <limits.h>

#include "tests/fixture.h"

typedef LPVOID WINAPI Convert(LPVOID data, DWORD flags);
typedef LPVOID WINAPI Create(SIZE_T commit, SIZE_T reserve, DWORD flags, LPFIBER_START_ROUTINE run,
                             LPVOID data);

extern Convert *__real___imp_ConvertThreadToFiberEx, *__wrap___imp_ConvertThreadToFiberEx;
extern Create *__real___imp_CreateFiberEx, *__wrap___imp_CreateFiberEx;

static int refusals; /* to come */
static int refused;

static bool refuse(void)
{
    if (refusals == 0) {
        return false;
    }
    refusals--;
    refused++;
    SetLastError(ERROR_NOT_ENOUGH_MEMORY);
    return true;
}

static LPVOID WINAPI convert(LPVOID data, DWORD flags)
{
    return refuse() ? NULL : __real___imp_ConvertThreadToFiberEx(data, flags);
}

static LPVOID WINAPI create(SIZE_T commit, SIZE_T reserve, DWORD flags, LPFIBER_START_ROUTINE run,
                            LPVOID data)
{
    return refuse() ? NULL : __real___imp_CreateFiberEx(commit, reserve, flags, run, data);
}

Convert *__wrap___imp_ConvertThreadToFiberEx = convert;
Create *__wrap___imp_CreateFiberEx = create;

static void count(void *opaque)
{
    ++*(int *)opaque;
}

static AioCoroutine *counter(int *runs)
{
    *runs = refused = refusals = 0;
    AioCoroutine *co = aio_co_create(count, runs);
    assert_non_null(co);
    return co;
}

static void stack_that_is_refused_is_an_error(void **state)
{
    (void)state;
    int runs = 0;
    AioError *error = NULL;
    refusals = 2;
    assert_null(aio_co_create(count, &runs));
    assert_null(aio_co_create_full(count, &runs, &error));
    assert_int_equal(refused, 2);
    assert_int_equal(aio_error_code(error), ENOMEM);
    aio_error_free(error);
    aio_co_enter(NULL, counter(&runs));
    assert_int_equal(runs, 1);
}

static void thread_that_is_refused_for_a_moment_enters_all_the_same(void **state)
{
    (void)state;
    int runs;
    AioCoroutine *co = counter(&runs);
    refusals = 2;
    aio_co_enter(NULL, co);
    assert_int_equal(refused, 2);
    assert_int_equal(runs, 1);
    assert_false(IsThreadAFiber());
}

static void enter(void *co)
{
    refusals = INT_MAX;
    aio_co_enter(NULL, co);
}

static void thread_that_is_refused_for_long_is_fatal_and_names_the_error(void **state)
{
    (void)state;
    int runs;
    AioCoroutine *co = counter(&runs);
    assert_true(fixture_dies(enter, co, "can't become a fiber, error 8 of Windows"));
    aio_co_enter(NULL, co);
    assert_int_equal(runs, 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(stack_that_is_refused_is_an_error),
    cmocka_unit_test(thread_that_is_refused_for_a_moment_enters_all_the_same),
    cmocka_unit_test(thread_that_is_refused_for_long_is_fatal_and_names_the_error),
};
TEST_MAIN(tests)
