/*
 * The part of the fixture that is the same on every system: choosing the poller and the test, and the
 * contexts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#include <errno.h>

#include "tests/fixture_os.h"

static const char *poller;
static const char *only;
static bool skipped;

const char *fixture_poller(void)
{
    return poller;
}

const char *fixture_test(void)
{
    return only;
}

AioContext *fixture_context_flags(unsigned flags)
{
    AioContextOptions options = {
        .size = sizeof(options), .poller = poller, .flags = flags, .name = "test"};
    AioError *error = NULL;
    AioContext *ctx = aio_context_new_with_options(&options, &error);
    if (!ctx) {
        print_error("no context: %s\n", aio_error_message(error));
        aio_error_free(error);
        fail();
    }
    return ctx;
}

AioContext *fixture_context(void)
{
    return fixture_context_flags(0);
}

AioContext *fixture_home(void)
{
    AioContext *ctx = fixture_context();
    aio_context_bind(ctx);
    return ctx;
}

void fixture_context_free(AioContext *ctx)
{
    while (drive(ctx, false)) {
        continue;
    }
    aio_context_unref(ctx);
}

/* A test that fails leaves its context: freeing it could wait for ever, and hide what went wrong. */
void fixture_run_home(void **state)
{
    FixtureHomeTest *test = *state;
    AioContext *ctx = fixture_home();
    test->run(ctx);
    fixture_context_free(ctx);
}

bool drive(AioContext *ctx, bool blocking)
{
    return aio_poll(ctx, blocking);
}

void fixture_skip(const char *reason)
{
    print_message("skipped: %s\n", reason);
    skipped = true;
    skip();
}

unsigned fixture_long(void)
{
    const char *value = getenv("AIOCTX_TEST_LONG");
    return value && *value && strcmp(value, "0") != 0 ? 30 : 1;
}

static const struct CMUnitTest *find(const struct CMUnitTest *tests, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(tests[i].name, name) == 0) {
            return &tests[i];
        }
    }
    return NULL;
}

/* Whether the machine refuses the poller as a whole (forbidden or unknown): then its tests are skipped. */
static bool machine_refuses_poller(void)
{
    AioContextOptions options = {.size = sizeof(options), .poller = poller, .name = "test"};
    AioError *error = NULL;
    AioContext *ctx = poller ? aio_context_new_with_options(&options, &error) : NULL;
    bool refused = error && (aio_error_code(error) == ENOSYS || aio_error_code(error) == EPERM);
    if (refused) {
        print_message("skipped: %s\n", aio_error_message(error));
    }
    aio_error_free(error);
    if (ctx) {
        aio_context_unref(ctx);
    }
    return refused;
}

int fixture_main(int argc, char **argv, const char *group, const struct CMUnitTest *tests,
                 size_t count)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--poller") == 0 && i + 1 < argc) {
            poller = argv[++i];
        } else if (argv[i][0] != '-' && !only) {
            only = argv[i];
        } else {
            fprintf(stderr, "usage: %s [--poller NAME] [TEST]\n", argv[0]);
            return 2;
        }
    }
    if (only && !find(tests, count, only)) {
        fprintf(stderr, "%s: no test named %s\n", argv[0], only);
        return 2;
    }
    fixture_os_init();
    if (machine_refuses_poller()) {
        return 77;
    }
    if (only) {
        const struct CMUnitTest one[] = {*find(tests, count, only)};
        int failed = _cmocka_run_group_tests(group, one, 1, NULL, NULL);
        return failed ? 1 : skipped ? 77 : 0;
    }
    int failed = _cmocka_run_group_tests(group, tests, count, NULL, NULL);
    return failed ? 1 : 0;
}
