/*
 * Errors as values, errors without memory, and the fatal hook.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/error_text.h"
#include "tests/fixture.h"

#include <errno.h>

#include "core/alloc.h"

static void error_has_a_code_and_one_line_of_text(void **state)
{
    (void)state;
    AioError *error = NULL;
    aio_error_set(&error, ENOENT, "No '%s' in %d places", "needle", 7);
    assert_non_null(error);
    assert_int_equal(aio_error_code(error), ENOENT);
    assert_string_equal(aio_error_message(error), "No 'needle' in 7 places");
    aio_error_free(error);
}

static void text_of_any_length_is_kept(void **state)
{
    (void)state;
    enum { LENGTH = 5000 };
    char text[LENGTH + 1];
    memset(text, 'x', LENGTH);
    text[LENGTH] = '\0';
    AioError *error = NULL;
    aio_error_set(&error, EINVAL, "%s", text);
    assert_string_equal(aio_error_message(error), text);
    aio_error_free(error);
    error = NULL;
    aio_error_set(&error, EINVAL, "%s", "");
    assert_string_equal(aio_error_message(error), "");
    aio_error_free(error);
}

/* As a user's function of its own does, with what varies passed on twice. */
AIO_PRINTF(3, 4)
static void set_twice(AioError **first, AioError **second, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    aio_error_set_va(first, ENOSPC, format, args);
    aio_error_set_va(second, EDOM, format, again);
    va_end(again);
    va_end(args);
}

static void arguments_can_be_handed_on(void **state)
{
    (void)state;
    AioError *first = NULL, *second = NULL;
    set_twice(&first, &second, "%s: %d of %lld, %.1f", "disk", 7, 1LL << 40, 0.5);
    assert_int_equal(aio_error_code(first), ENOSPC);
    assert_string_equal(aio_error_message(first), "disk: 7 of 1099511627776, 0.5");
    assert_int_equal(aio_error_code(second), EDOM);
    assert_string_equal(aio_error_message(second), "disk: 7 of 1099511627776, 0.5");
    aio_error_free(second);
    aio_error_free(first);
    first = NULL;
    set_twice(NULL, &first, "%s", "nobody asks for the first");
    assert_string_equal(aio_error_message(first), "nobody asks for the first");
    aio_error_free(first);
}

static void handed_on_without_memory_is_out_of_memory(void **state)
{
    (void)state;
    AioError *first = NULL, *second = NULL;
    aio__alloc_fail_at(1);
    set_twice(&first, &second, "%d", 1);
    aio__alloc_fail_at(0);
    assert_int_equal(aio_error_code(first), ENOMEM);
    assert_int_equal(aio_error_code(second), EDOM);
    assert_string_equal(aio_error_message(second), "1");
    aio_error_free(first);
    aio_error_free(second);
}

static void nobody_needs_to_care(void **state)
{
    (void)state;
    aio_error_set(NULL, EINVAL, "Nobody asks for %d", 1);
    aio_error_propagate(NULL, NULL);
    aio_error_free(NULL);
    AioError *error = NULL;
    aio_error_propagate(&error, NULL);
    assert_null(error);
}

static void copy_outlives_its_original(void **state)
{
    (void)state;
    AioError *error = NULL;
    aio_error_set(&error, EIO, "disk %c", 'A');
    AioError *copy = aio_error_copy(error);
    assert_ptr_not_equal(copy, error);
    aio_error_free(error);
    assert_int_equal(aio_error_code(copy), EIO);
    assert_string_equal(aio_error_message(copy), "disk A");
    aio_error_free(copy);
}

static AioError *made(int code)
{
    AioError *error = NULL;
    aio_error_set(&error, code, "error %d", code);
    return error;
}

static void propagation_keeps_the_first(void **state)
{
    (void)state;
    AioError *error = NULL;
    aio_error_propagate(&error, made(EIO));
    assert_int_equal(aio_error_code(error), EIO);
    aio_error_propagate(&error, made(EPERM)); /* freed: LeakSanitizer looks */
    assert_int_equal(aio_error_code(error), EIO);
    aio_error_free(error);
    aio_error_propagate(NULL, made(EIO));
}

static void error_is_made_without_memory(void **state)
{
    (void)state;
    AioError *error = NULL;
    aio__alloc_fail_at(1);
    aio_error_set(&error, EINVAL, "something else");
    assert_true(aio__alloc_failed());
    aio__alloc_fail_at(0);
    assert_non_null(error);
    assert_int_equal(aio_error_code(error), ENOMEM);
    assert_string_equal(aio_error_message(error), "Out of memory");
    AioError *copy = aio_error_copy(error);
    assert_int_equal(aio_error_code(copy), ENOMEM);
    aio_error_free(copy);
    aio_error_free(error); /* like any other, and again */
    aio_error_free(error);
    AioError *first = NULL;
    aio_error_propagate(&first, error);
    assert_int_equal(aio_error_code(first), ENOMEM);
    aio_error_propagate(&first, made(EIO));
    assert_int_equal(aio_error_code(first), ENOMEM);
}

static void copy_without_memory_is_out_of_memory(void **state)
{
    (void)state;
    AioError *error = made(EIO);
    aio__alloc_fail_at(1);
    AioError *copy = aio_error_copy(error);
    aio__alloc_fail_at(0);
    assert_int_equal(aio_error_code(copy), ENOMEM);
    assert_int_equal(aio_error_code(error), EIO);
    aio_error_free(copy);
    aio_error_free(error);
}

/* Binding a shared context is fatal, and names it. */
static void be_fatal(void *opaque)
{
    (void)opaque;
    AioContextOptions options = {
        .size = sizeof(options), .flags = AIO_CONTEXT_SHARED, .name = "hopeless"};
    AioContext *ctx = aio_context_new_with_options(&options, NULL);
    aio_context_bind(ctx);
}

static void fatal_hook_gets_the_text(void **state)
{
    (void)state;
    assert_true(fixture_dies(be_fatal, NULL, "hopeless"));
}

static void do_nothing(const char *message, void *opaque)
{
    (void)message;
    (void)opaque;
}

static void be_fatal_with_a_hook_that_returns(void *opaque)
{
    aio_set_fatal_hook(do_nothing, NULL);
    be_fatal(opaque);
}

static void be_fatal_without_a_hook(void *opaque)
{
    aio_set_fatal_hook(NULL, NULL);
    be_fatal(opaque);
}

static void abort_follows_a_hook_that_returns_and_no_hook(void **state)
{
    (void)state;
    assert_true(fixture_aborts(be_fatal_with_a_hook_that_returns, NULL));
    assert_true(fixture_aborts(be_fatal_without_a_hook, NULL));
}

static jmp_buf way_out;

static void leave(const char *message, void *opaque)
{
    strncpy(opaque, message, 99);
    longjmp(way_out, 1);
}

static void fatal_hook_may_leave(void **state)
{
    (void)state;
    char message[100] = "";
    AioContextOptions options = {.size = sizeof(options), .flags = AIO_CONTEXT_SHARED};
    AioContext *ctx = aio_context_new_with_options(&options, NULL);
    aio_set_fatal_hook(leave, message);
    if (setjmp(way_out) == 0) {
        aio_context_bind(ctx);
        fail();
    }
    aio_set_fatal_hook(NULL, NULL);
    assert_non_null(strstr(message, "can't be bound"));
    aio_context_unref(ctx);
}

static void every_value_that_the_library_hands_out_has_words(void **state)
{
    (void)state;
    static const int values[] = {
        EACCES,      ECONNABORTED, ECONNREFUSED, ECONNRESET, EHOSTUNREACH, EISCONN, EMSGSIZE,
        ENETUNREACH, EAGAIN,       EBADF,        EBUSY,      ECANCELED,    EFBIG,   EILSEQ,
        EINVAL,      EIO,          EISDIR,       EMFILE,     ENOENT,       ENOMEM,  ENOSPC,
        ENOSYS,      ENXIO,        EPERM,        ENOTSOCK,   ENOTSUP,      EPIPE,   ESPIPE};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        assert_null(strstr(aio__error_text(values[i]), "nknown"));
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(aio__error_text(values[i]), aio__error_text(values[j]));
        }
    }
    assert_non_null(aio__error_text(123456)); /* others are the system's affair */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(error_has_a_code_and_one_line_of_text),
    cmocka_unit_test(text_of_any_length_is_kept),
    cmocka_unit_test(arguments_can_be_handed_on),
    cmocka_unit_test(handed_on_without_memory_is_out_of_memory),
    cmocka_unit_test(nobody_needs_to_care),
    cmocka_unit_test(copy_outlives_its_original),
    cmocka_unit_test(propagation_keeps_the_first),
    cmocka_unit_test(error_is_made_without_memory),
    cmocka_unit_test(copy_without_memory_is_out_of_memory),
    cmocka_unit_test(fatal_hook_gets_the_text),
    cmocka_unit_test(abort_follows_a_hook_that_returns_and_no_hook),
    cmocka_unit_test(fatal_hook_may_leave),
    cmocka_unit_test(every_value_that_the_library_hands_out_has_words),
};
TEST_MAIN(tests)
