/*
 * Time-outs as Windows counts them: rounded up, cut off, never overflowing.
 *
 * SPDX-License-Identifier: MIT
 */
#include "win32/time.h"

#include "tests/fixture.h"

#define MS INT64_C(1000000)

static void milliseconds_are_rounded_up_and_fit(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        DWORD ms;
    } cases[] = {
        {-1, INFINITE},
        {0, 0},
        {1, 1},
        {MS, 1},
        {MS + 1, 2},
        {20 * MS, 20},
        {3600 * 1000 * MS, 3600 * 1000},
        {(INFINITE - 1) * MS, INFINITE - 1},
        {(INFINITE - 1) * MS + 1, INFINITE - 1},
        {INFINITE * MS, INFINITE - 1}, /* for ever is something else */
        {INT64_MAX, INFINITE - 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(aio__timeout_ms(cases[i].ns), cases[i].ms);
    }
}

static void deadlines_end_with_the_clock(void **state)
{
    (void)state;
    assert_int_equal(aio__deadline(-1), INT64_MAX);
    assert_int_equal(aio__deadline(INT64_MAX), INT64_MAX);
    assert_int_equal(aio__deadline(INT64_MAX - 1), INT64_MAX);
    int64_t before = aio__monotonic_ns();
    int64_t deadline = aio__deadline(5 * MS);
    assert_true(deadline >= before + 5 * MS && deadline <= aio__monotonic_ns() + 5 * MS);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(milliseconds_are_rounded_up_and_fit),
    cmocka_unit_test(deadlines_end_with_the_clock),
};
TEST_MAIN(tests)
