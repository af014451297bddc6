/*
 * What functions check when they are entered: the thread that calls, and that it is in no coroutine.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture_file.h"

/* One object of each kind, made by the home thread, or by the holder of the lock of a shared context. */
typedef struct Objects {
    AioContext *ctx;
    AioNotifier notifier;
    AioRequest *request;
    AioThreadPool *pool;
    AioFile *file;
} Objects;

typedef struct Call {
    const char *name;
    void (*make)(Objects *objects);
    bool asserted;     /* otherwise it is fatal, and says its name */
    bool no_coroutine; /* nor may a coroutine call it */
    bool request;      /* it takes one that is in flight */
} Call;

static void nothing(void *opaque)
{
    (void)opaque;
}

static void on_notifier(AioNotifier *notifier)
{
    (void)notifier;
}

static void on_error(AioContext *ctx, const AioError *error, void *opaque)
{
    (void)ctx;
    (void)error;
    (void)opaque;
}

static void on_complete(void *opaque, int64_t ret)
{
    (void)opaque;
    (void)ret;
}

static int work(void *opaque)
{
    (void)opaque;
    return 0;
}

static const AioRequestInfo request_info = {.size = sizeof(AioRequest)};

static void call_poll(Objects *o)
{
    aio_poll(o->ctx, false);
}

static void call_unbind(Objects *o)
{
    aio_context_unbind(o->ctx);
}

static void call_run(Objects *o)
{
    aio_context_stop(o->ctx);
    aio_context_run(o->ctx);
}

static void call_prepare(Objects *o)
{
    aio_prepare(o->ctx);
}

static void call_pending(Objects *o)
{
    aio_pending(o->ctx);
}

static void call_dispatch(Objects *o)
{
    aio_dispatch(o->ctx);
}

static void call_quiesce_begin(Objects *o)
{
    aio_quiesce_begin(o->ctx);
}

static void call_quiesce_end(Objects *o)
{
    aio_quiesce_end(o->ctx); /* the one that objects_init() began */
}

static void call_notify_accept(Objects *o)
{
    aio_notify_accept(o->ctx);
}

static void call_compute_timeout(Objects *o)
{
    aio_compute_timeout(o->ctx);
}

static void call_bh_poll(Objects *o)
{
    aio_bh_poll(o->ctx);
}

static void call_set_fd_poll(Objects *o)
{
    aio_set_fd_poll(o->ctx, 0, nothing, nothing);
}

static void call_set_event_notifier_poll(Objects *o)
{
    aio_set_event_notifier_poll(o->ctx, &o->notifier, on_notifier, on_notifier);
}

static void call_set_error_func(Objects *o)
{
    aio_context_set_error_func(o->ctx, on_error, NULL);
}

static void call_request_get(Objects *o)
{
    aio_request_unref(aio_request_get(&request_info, o->ctx, on_complete, NULL));
}

static void call_request_ref(Objects *o)
{
    aio_request_ref(o->request);
}

static void call_request_unref(Objects *o)
{
    aio_request_unref(o->request); /* the second of two */
}

static void call_request_complete(Objects *o)
{
    aio_request_complete(o->request, 0);
}

static void call_request_cancel_async(Objects *o)
{
    aio_request_cancel_async(o->request);
}

static void call_get_thread_pool(Objects *o)
{
    aio_get_thread_pool(o->ctx);
}

static void call_set_bounds(Objects *o)
{
    aio_thread_pool_set_bounds(o->pool, 0, 4, NULL);
}

static void call_submit(Objects *o)
{
    aio_thread_pool_submit(o->pool, work, NULL, on_complete, NULL, NULL);
}

static void call_file_open(Objects *o)
{
    aio_file_open(o->ctx, fixture_directory(), AIO_FILE_READ, NULL); /* refused, at once */
}

static void call_file_fsync(Objects *o)
{
    aio_file_fsync(o->file, on_complete, NULL, NULL);
}

static void call_file_size(Objects *o)
{
    aio_file_size(o->file);
}

static void call_file_close(Objects *o)
{
    aio_file_close(o->file);
}

static const Call calls[] = {
    {.name = "aio_poll", .make = call_poll, .no_coroutine = true},
    {.name = "aio_context_unbind", .make = call_unbind, .no_coroutine = true},
    {.name = "aio_context_run", .make = call_run, .no_coroutine = true},
    {.name = "aio_prepare", .make = call_prepare, .no_coroutine = true},
    {.name = "aio_pending", .make = call_pending, .no_coroutine = true},
    {.name = "aio_dispatch", .make = call_dispatch, .no_coroutine = true},
    {.name = "aio_quiesce_begin", .make = call_quiesce_begin, .no_coroutine = true},
    {.name = "aio_quiesce_end", .make = call_quiesce_end, .asserted = true},
    {.name = "aio_notify_accept", .make = call_notify_accept, .asserted = true},
    {.name = "aio_compute_timeout", .make = call_compute_timeout, .asserted = true},
    {.name = "aio_bh_poll", .make = call_bh_poll, .asserted = true},
    {.name = "aio_set_fd_poll", .make = call_set_fd_poll, .asserted = true},
    {.name = "aio_set_event_notifier_poll", .make = call_set_event_notifier_poll, .asserted = true},
    {.name = "aio_context_set_error_func", .make = call_set_error_func, .asserted = true},
    {.name = "aio_request_get", .make = call_request_get, .asserted = true},
    {.name = "aio_request_ref", .make = call_request_ref, .asserted = true, .request = true},
    {.name = "aio_request_unref", .make = call_request_unref, .asserted = true, .request = true},
    {.name = "aio_request_complete",
     .make = call_request_complete,
     .asserted = true,
     .request = true},
    {.name = "aio_request_cancel_async",
     .make = call_request_cancel_async,
     .asserted = true,
     .request = true},
    {.name = "aio_get_thread_pool", .make = call_get_thread_pool, .asserted = true},
    {.name = "aio_thread_pool_set_bounds", .make = call_set_bounds, .asserted = true},
    {.name = "aio_thread_pool_submit", .make = call_submit, .asserted = true},
    {.name = "aio_file_open", .make = call_file_open, .asserted = true},
    {.name = "aio_file_fsync", .make = call_file_fsync, .asserted = true},
    {.name = "aio_file_size", .make = call_file_size, .asserted = true},
    {.name = "aio_file_close", .make = call_file_close, .asserted = true},
};

#define COUNT (sizeof(calls) / sizeof(calls[0]))

/* In a child process. */

typedef struct Visit {
    const Call *call;
    unsigned flags; /* of the context */
    Objects objects;
} Visit;

/* The calling thread is at home, or holds the lock. */
static void visit_init(Visit *visit)
{
    Objects *o = &visit->objects;
    FixtureFile path = fixture_file(0);
    *o = (Objects){.ctx = fixture_context_flags(visit->flags)};
    if (visit->flags & AIO_CONTEXT_SHARED) {
        aio_context_acquire(o->ctx);
    } else {
        aio_context_bind(o->ctx);
    }
    aio_quiesce_begin(o->ctx);
    aio_notifier_init(&o->notifier, false);
    aio_set_event_notifier(o->ctx, &o->notifier, false, on_notifier, NULL);
    o->pool = aio_get_thread_pool(o->ctx);
    o->file = aio_file_open(o->ctx, path.path, AIO_FILE_READ, NULL);
    fixture_file_remove(&path);
    if (visit->call->request) {
        o->request = aio_request_get(&request_info, o->ctx, on_complete, NULL);
        aio_request_ref(o->request);
    }
}

static void make_call(void *opaque)
{
    Visit *visit = opaque;
    visit->call->make(&visit->objects);
}

static void call_from_another_thread(void *opaque)
{
    visit_init(opaque);
    fixture_thread_join(fixture_thread_start(make_call, opaque));
}

static void call_without_the_lock(void *opaque)
{
    Visit *visit = opaque;
    visit_init(visit);
    aio_context_release(visit->objects.ctx);
    make_call(visit);
}

static void call_in_a_coroutine(void *opaque)
{
    Visit *visit = opaque;
    visit_init(visit);
    aio_co_enter(visit->objects.ctx, aio_co_create(make_call, visit));
}

/* Says that the call returned, by an end of its own. */
static void call_where_it_may_be(void *opaque)
{
    visit_init(opaque);
    make_call(opaque);
    aio_context_bind(fixture_context_flags(AIO_CONTEXT_SHARED));
}

static bool is_refused(const Call *call, void (*body)(void *), unsigned flags)
{
    Visit visit = {.call = call, .flags = flags};
    bool refused =
        call->asserted ? fixture_aborts(body, &visit) : fixture_dies(body, &visit, call->name);
    if (!refused) {
        print_error("%s was not refused\n", call->name);
    }
    return refused;
}

static void need_asserts(void)
{
#ifdef NDEBUG
    fixture_skip("asserts are off in this build");
#endif
}

/* In this process. */

static void another_than_the_home_thread_is_refused(void **state)
{
    (void)state;
    bool good = true;
    need_asserts();
    for (size_t i = 0; i < COUNT; i++) {
        good &= is_refused(&calls[i], call_from_another_thread, 0);
        good &= is_refused(&calls[i], call_from_another_thread, AIO_CONTEXT_SHARED);
    }
    assert_true(good);
}

static void shared_context_without_its_lock_is_refused(void **state)
{
    (void)state;
    bool good = true;
    need_asserts();
    for (size_t i = 0; i < COUNT; i++) {
        good &= is_refused(&calls[i], call_without_the_lock, AIO_CONTEXT_SHARED);
    }
    assert_true(good);
}

static void coroutine_that_would_run_the_loop_is_refused(void **state)
{
    (void)state;
    bool good = true;
    need_asserts();
    for (size_t i = 0; i < COUNT; i++) {
        good &= !calls[i].no_coroutine || is_refused(&calls[i], call_in_a_coroutine, 0);
    }
    assert_true(good);
}

static void home_thread_and_holder_of_the_lock_are_let_in(void **state)
{
    (void)state;
    bool good = true;
    for (size_t i = 0; i < COUNT; i++) {
        Visit visit = {.call = &calls[i]};
        good &= fixture_dies(call_where_it_may_be, &visit, "can't be bound");
        visit.flags = AIO_CONTEXT_SHARED;
        good &= fixture_dies(call_where_it_may_be, &visit, "can't be bound");
    }
    assert_true(good);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(another_than_the_home_thread_is_refused),
    cmocka_unit_test(shared_context_without_its_lock_is_refused),
    cmocka_unit_test(coroutine_that_would_run_the_loop_is_refused),
    cmocka_unit_test(home_thread_and_holder_of_the_lock_are_let_in),
};
TEST_MAIN(tests)
