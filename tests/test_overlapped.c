/*
 * Overlapped calls, where there are none: another system than Windows, or another poller than the port.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "aioctx/overlapped.h"
#include "core/context.h"
#include "tests/fixture.h"

static uint32_t never(void *opaque, AioHandle handle, void *overlapped)
{
    (void)handle, (void)overlapped;
    *(bool *)opaque = true;
    return 0;
}

static void completed(void *opaque, int64_t ret)
{
    (void)ret;
    *(bool *)opaque = true;
}

static void context_without_a_completion_port_says_so(AioContext *ctx)
{
    bool called = false;
    AioError *error = NULL;
    if (aio_overlapped_available(ctx)) {
        assert_string_equal(ctx->poller->ops->name, "port");
        assert_false(aio_overlapped_bind(ctx, 0, &error));
        assert_int_equal(aio_error_code(error), EBADF);
        aio_error_free(error);
        return; /* test_win32_pipe.c goes on from here */
    }
    assert_false(aio_overlapped_bind(ctx, 0, &error));
    assert_int_equal(aio_error_code(error), ENOTSUP);
    aio_error_free(error);
    error = NULL;
    assert_null(aio_overlapped_submit(ctx, 0, never, &called, completed, &called, &error));
    assert_int_equal(aio_error_code(error), ENOTSUP);
    aio_error_free(error);
    assert_null(aio_overlapped_submit(ctx, 0, never, &called, completed, &called, NULL));
    drive(ctx, false);
    assert_false(called);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_home(context_without_a_completion_port_says_so),
};
TEST_MAIN(tests)
