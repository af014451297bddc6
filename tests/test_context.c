/*
 * Contexts: making one with its options, and whose it is.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#include <errno.h>

static void count(void *opaque)
{
    ++*(int *)opaque;
}

/* Making one. */

static AioContextInfo info_of(AioContext *ctx)
{
    AioContextInfo info = {.size = sizeof(info)};
    aio_context_info(ctx, &info);
    return info;
}

static void new_context_has_defaults_and_does_nothing(void **state)
{
    (void)state;
    AioError *error = NULL;
    AioContext *ctx = aio_context_new(&error);
    assert_non_null(ctx);
    assert_null(error);
    AioContextInfo info = info_of(ctx);
    assert_string_equal(info.name, "aio");
    assert_string_equal(info.pollers_refused, "");
    assert_int_equal(info.handlers, 0);
    assert_int_equal(info.poll_window_ns, 0);
    assert_int_equal(info.counters.iterations, 0);
    assert_int_equal(info.counters.errors_recorded, 0);
    assert_false(aio_context_in_home_thread(ctx));
    assert_null(aio_context_take_error(ctx));
    assert_int_equal(aio_compute_timeout(ctx), -1);
    assert_false(aio_poll(ctx, false));
    aio_context_setup(ctx);
    aio_context_destroy(ctx); /* both are the interface's only: nothing happens */
    assert_false(aio_poll(ctx, false));
    aio_context_unref(ctx);
}

static void options_choose_poller_and_name(void **state)
{
    (void)state;
    char name[] = "disk";
    AioContextOptions options = {.size = sizeof(options), .poller = fixture_poller(), .name = name};
    AioContext *ctx = aio_context_new_with_options(&options, NULL);
    assert_non_null(ctx);
    name[0] = 'x'; /* it was copied */
    AioContextInfo info = info_of(ctx);
    assert_string_equal(info.name, "disk");
    assert_string_equal(info.poller, fixture_poller());
    assert_string_equal(info.pollers_refused, "");
    aio_context_unref(ctx);
}

static AioError *refusal(const AioContextOptions *options)
{
    AioError *error = NULL;
    assert_null(aio_context_new_with_options(options, &error));
    assert_non_null(error);
    assert_null(aio_context_new_with_options(options, NULL)); /* nobody needs to care */
    return error;
}

static void unknown_options_are_refused(void **state)
{
    (void)state;
    AioError *error =
        refusal(&(AioContextOptions){.size = sizeof(AioContextOptions), .flags = 1u << 20});
    assert_int_equal(aio_error_code(error), EINVAL);
    assert_non_null(strstr(aio_error_message(error), "0x100000"));
    aio_error_free(error);
    const size_t sizes[] = {0, 1, sizeof(AioContextOptions) - 1, sizeof(AioContextOptions) + 8};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        error = refusal(&(AioContextOptions){.size = sizes[i]});
        assert_int_equal(aio_error_code(error), EINVAL);
        aio_error_free(error);
    }
}

static void unknown_poller_is_refused_and_the_known_ones_listed(void **state)
{
    (void)state;
    AioError *error =
        refusal(&(AioContextOptions){.size = sizeof(AioContextOptions), .poller = "psychic"});
    assert_int_equal(aio_error_code(error), EINVAL);
    assert_non_null(strstr(aio_error_message(error), "psychic"));
    assert_non_null(strstr(aio_error_message(error), fixture_poller()));
    aio_error_free(error);
}

static void environment_chooses_where_the_options_do_not(void **state)
{
    (void)state;
    fixture_setenv("AIOCTX_POLLER", fixture_poller());
    AioContext *ctx = aio_context_new(NULL);
    assert_string_equal(info_of(ctx).poller, fixture_poller());
    aio_context_unref(ctx);

    fixture_setenv("AIOCTX_POLLER", "psychic");
    AioError *error = NULL;
    assert_null(aio_context_new(&error));
    assert_int_equal(aio_error_code(error), EINVAL);
    assert_non_null(strstr(aio_error_message(error), "psychic"));
    assert_non_null(strstr(aio_error_message(error), "AIOCTX_POLLER"));
    assert_non_null(strstr(aio_error_message(error), fixture_poller()));
    aio_error_free(error);
    ctx = fixture_context(); /* names its poller */
    assert_string_equal(info_of(ctx).poller, fixture_poller());
    aio_context_unref(ctx);

    fixture_setenv("AIOCTX_POLLER", "");
    ctx = aio_context_new(NULL);
    assert_non_null(ctx);
    aio_context_unref(ctx);
    fixture_setenv("AIOCTX_POLLER", NULL);
}

static void environment_is_ignored_where_the_program_has_borrowed_rights(void **state)
{
    (void)state;
    if (!fixture_has_borrowed_rights()) { /* the part of the program that is run with them is below */
        static const char name[] = "environment_is_ignored_where_the_program_has_borrowed_rights";
        fixture_setenv("AIOCTX_POLLER", "psychic");
        if (getenv("AIOCTX_TEST_RERUN")) {
            fixture_skip("the system took no notice of set-user-id");
        }
        fixture_setenv("AIOCTX_TEST_RERUN", "1");
        bool passed = fixture_passes_with_borrowed_rights(name);
        fixture_setenv("AIOCTX_TEST_RERUN", NULL);
        fixture_setenv("AIOCTX_POLLER", NULL);
        assert_true(passed);
        return;
    }
    assert_string_equal(getenv("AIOCTX_POLLER"), "psychic");
    AioContext *ctx = aio_context_new(NULL);
    assert_non_null(ctx);
    aio_context_unref(ctx);
}

static void context_without_descriptors_fails_cleanly(void **state)
{
    (void)state;
    unsigned before = fixture_open_handles();
    fixture_setenv("AIOCTX_POLLER", NULL); /* a test that was skipped may have left it */
    AioContextOptions options = {.size = sizeof(options), .poller = fixture_poller()};
    if (!fixture_limit_handles(1)) {
        fixture_skip("the handles of a process can't be limited here");
    }
    AioError *named = NULL, *any = NULL;
    AioContext *ctx = aio_context_new_with_options(&options, &named);
    AioContext *other = aio_context_new(&any);
    fixture_limit_handles(0);
    assert_null(ctx);
    assert_null(other);
    assert_int_equal(aio_error_code(named), EMFILE);
    assert_int_equal(aio_error_code(any), EMFILE);
    aio_error_free(named);
    aio_error_free(any);
    assert_true(fixture_handles_left(before));
}

/* Whose it is. */

static void poll_it(void *opaque)
{
    aio_poll(opaque, false);
}

static void poll_it_blocking(void *opaque)
{
    aio_poll(opaque, true);
}

static void prepare_it(void *opaque)
{
    aio_prepare(opaque);
}

static void look_at_it(void *opaque)
{
    aio_pending(opaque);
}

static void dispatch_it(void *opaque)
{
    aio_dispatch(opaque);
}

static void run_it(void *opaque)
{
    aio_context_run(opaque);
}

static void unbind_it(void *opaque)
{
    aio_context_unbind(opaque);
}

static void bind_it(void *opaque)
{
    aio_context_bind(opaque);
}

static void quiesce_it(void *opaque)
{
    aio_quiesce_begin(opaque);
}

static void in_another_thread(void *opaque)
{
    void (*act)(void *) = *(void (**)(void *))opaque;
    AioContext *ctx = fixture_context();
    aio_context_bind(ctx);
    fixture_thread_join(fixture_thread_start(act, ctx));
}

static void foreign_thread_is_fatal(void **state)
{
    (void)state;
    const struct {
        void (*act)(void *);
        const char *text;
    } acts[] = {
        {poll_it, "aio_poll of context 'test'"},
        {poll_it_blocking, "aio_poll of context 'test'"},
        {prepare_it, "aio_prepare of context 'test'"},
        {look_at_it, "aio_pending of context 'test'"},
        {dispatch_it, "aio_dispatch of context 'test'"},
        {run_it, "aio_context_run of context 'test'"},
        {unbind_it, "aio_context_unbind of context 'test'"},
        {bind_it, "Context 'test' is bound to another thread"},
        {quiesce_it, "aio_quiesce_begin of context 'test'"},
    };
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
        void (*act)(void *) = acts[i].act;
        assert_true(fixture_dies(in_another_thread, &act, acts[i].text));
    }
}

typedef struct Visit {
    AioContext *ctx;
    AioContext *other;
    AioContext *current; /* seen */
    bool home;           /* seen */
    bool progress;       /* seen */
} Visit;

static void look_around(void *opaque)
{
    Visit *visit = opaque;
    visit->current = aio_context_current();
    visit->home = aio_context_in_home_thread(visit->ctx);
}

static void run_to_the_end_and_unref(void *opaque)
{
    Visit *visit = opaque;
    visit->progress = aio_poll(visit->ctx, false);
    look_around(visit);
    aio_context_unref(visit->ctx);
}

static void context_made_in_one_thread_runs_and_ends_in_another(void **state)
{
    (void)state;
    int calls = 0;
    Visit visit = {.ctx = fixture_context()};
    AioBh *bh = aio_bh_new(visit.ctx, count, &calls);
    aio_bh_schedule(bh);
    aio_bh_schedule_oneshot(visit.ctx, count, &calls);
    aio_bh_delete(bh);
    FixtureThread *thread = fixture_thread_start(run_to_the_end_and_unref, &visit);
    fixture_thread_join(thread);
    assert_true(visit.progress);
    assert_true(visit.home);
    assert_ptr_equal(visit.current, visit.ctx);
    assert_int_equal(calls, 1);
}

static void first_to_run_it_is_at_home(void **state)
{
    (void)state;
    void (*const acts[])(void *) = {poll_it, prepare_it, look_at_it, dispatch_it, bind_it};
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
        AioContext *ctx = fixture_context();
        assert_false(aio_context_in_home_thread(ctx));
        acts[i](ctx);
        assert_true(aio_context_in_home_thread(ctx));
        Visit visit = {.ctx = ctx, .home = true, .current = ctx};
        fixture_thread_join(fixture_thread_start(look_around, &visit));
        assert_false(visit.home);
        assert_null(visit.current);
        aio_context_bind(ctx); /* again */
        aio_context_unbind(ctx);
        assert_false(aio_context_in_home_thread(ctx));
        assert_null(aio_context_current());
        aio_context_unref(ctx);
    }
}

typedef struct Relay {
    AioContext *ctx;
    AioBh *bh;
    int sum; /* plain: the hand-over must carry it */
    atomic_int turn;
} Relay;

enum { RUNNERS = 3, TURNS = 300 };

typedef struct Runner {
    Relay *relay;
    int number;
} Runner;

static void run_relay(void *opaque)
{
    Runner *runner = opaque;
    Relay *relay = runner->relay;
    for (int i = runner->number; i < TURNS; i += RUNNERS) {
        while (atomic_load_explicit(&relay->turn, memory_order_relaxed) != i) {
            fixture_yield();
        }
        aio_context_bind(relay->ctx);
        aio_bh_schedule(relay->bh);
        aio_poll(relay->ctx, true);
        aio_context_unbind(relay->ctx);
        /* relaxed: unbind and bind are enough for what the context and its callbacks hold */
        atomic_store_explicit(&relay->turn, i + 1, memory_order_relaxed);
    }
}

static void home_is_handed_over_by_unbind_and_bind(void **state)
{
    (void)state;
    Relay relay = {.ctx = fixture_context()};
    relay.bh = aio_bh_new(relay.ctx, count, &relay.sum);
    Runner runners[RUNNERS];
    FixtureThread *threads[RUNNERS];
    for (int i = 0; i < RUNNERS; i++) {
        runners[i] = (Runner){.relay = &relay, .number = i};
        threads[i] = fixture_thread_start(run_relay, &runners[i]);
    }
    for (int i = 0; i < RUNNERS; i++) {
        fixture_thread_join(threads[i]);
    }
    assert_int_equal(relay.sum, TURNS);
    aio_bh_delete(relay.bh);
    fixture_context_free(relay.ctx);
}

static void look_and_nest(void *opaque)
{
    Visit *visit = opaque;
    look_around(visit);
    if (visit->other) {
        visit->progress = aio_poll(visit->other, false);
        if (aio_context_current() != visit->ctx) {
            visit->current = NULL;
        }
    }
}

static void current_is_the_innermost_that_runs_else_the_first_owned(void **state)
{
    (void)state;
    assert_null(aio_context_current());
    AioContext *a = fixture_context(), *b = fixture_context();
    assert_null(aio_context_current());
    aio_context_bind(a);
    aio_context_bind(b);
    assert_ptr_equal(aio_context_current(), a);
    Visit outer = {.ctx = b, .other = a}, inner = {.ctx = a};
    aio_bh_schedule_oneshot(b, look_and_nest, &outer);
    aio_bh_schedule_oneshot(a, look_and_nest, &inner);
    assert_true(aio_poll(b, false));
    assert_true(outer.progress);
    assert_ptr_equal(outer.current, b);
    assert_ptr_equal(inner.current, a);
    assert_true(outer.home && inner.home);
    assert_ptr_equal(aio_context_current(), a);
    aio_context_unbind(a);
    assert_ptr_equal(aio_context_current(), b);
    aio_context_bind(a);
    assert_ptr_equal(aio_context_current(), b);
    aio_context_unref(b); /* ends owned */
    assert_ptr_equal(aio_context_current(), a);
    aio_context_unref(a);
    assert_null(aio_context_current());
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(new_context_has_defaults_and_does_nothing),
    cmocka_unit_test(options_choose_poller_and_name),
    cmocka_unit_test(unknown_options_are_refused),
    cmocka_unit_test(unknown_poller_is_refused_and_the_known_ones_listed),
    cmocka_unit_test(environment_chooses_where_the_options_do_not),
    cmocka_unit_test(environment_is_ignored_where_the_program_has_borrowed_rights),
    cmocka_unit_test(context_without_descriptors_fails_cleanly),
    cmocka_unit_test(foreign_thread_is_fatal),
    cmocka_unit_test(context_made_in_one_thread_runs_and_ends_in_another),
    cmocka_unit_test(first_to_run_it_is_at_home),
    cmocka_unit_test(home_is_handed_over_by_unbind_and_bind),
    cmocka_unit_test(current_is_the_innermost_that_runs_else_the_first_owned),
};
TEST_MAIN(tests)
