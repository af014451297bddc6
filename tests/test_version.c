/*
 * The version in the headers and in the library.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

static void version_of_library_is_that_of_headers(void **state)
{
    (void)state;
    char text[32];
    snprintf(text, sizeof(text), "%d.%d.%d", AIO_VERSION_MAJOR, AIO_VERSION_MINOR,
             AIO_VERSION_PATCH);
    assert_string_equal(aio_version_string(), AIO_VERSION_STRING);
    assert_string_equal(aio_version_string(), text);
    assert_int_equal(aio_version(), AIO_VERSION);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(version_of_library_is_that_of_headers),
};
TEST_MAIN(tests)
