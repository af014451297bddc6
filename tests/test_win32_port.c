/*
 * What threads that wait for handles may get wrong: signals in the moment in which a handler is removed, disabled, replaced, or
 * another one's handle found closed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/win32_help.h"

#include <errno.h>

static void alone_and_in_a_crowd(void (*run)(AioContext *ctx))
{
    for (int crowded = 0; crowded < 2; crowded++) {
        AioContext *ctx = fixture_home();
        crowd_in(ctx, crowded);
        run(ctx);
        crowd_out(crowded);
        fixture_context_free(ctx);
    }
}

static void no_error_is_recorded(AioContext *ctx)
{
    AioError *error = aio_context_take_error(ctx);
    if (error) {
        print_error("%s\n", aio_error_message(error));
    }
    assert_null(error);
}

static void count_one(void *opaque)
{
    ++*(int *)opaque;
}

typedef HANDLE Make(void);

static HANDLE auto_event_clear(void)
{
    return auto_event(false);
}

static HANDLE manual_event_clear(void)
{
    return manual_event(false);
}

/* Close `handle` and make another object that gets its number, as the system does sooner or later. */
static HANDLE close_and_reuse(HANDLE handle, Make *make)
{
    enum { TRIES = 1000 };
    static HANDLE others[TRIES];
    int n = 0;
    CloseHandle(handle);
    HANDLE again = make();
    while (again != handle && n < TRIES) {
        others[n++] = again;
        again = make();
    }
    assert_ptr_equal(again, handle);
    while (n > 0) {
        CloseHandle(others[--n]);
    }
    return again;
}

/* Blocking calls until there were so many, or two seconds have passed. */
static void drive_until_calls(Watched *watched, int calls)
{
    AioTimer timer;
    int late = 0;
    aio_timer_init(watched->ctx, &timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, count_one, &late);
    aio_timer_mod(&timer, aio_clock_get_ns(AIO_CLOCK_REALTIME) + 2000000000);
    while (watched->calls < calls && !late) {
        drive(watched->ctx, true);
    }
    aio_timer_del(&timer);
    assert_int_equal(watched->calls, calls);
}

static void reuse_as(AioContext *ctx, Make *first, Make *second)
{
    Watched w = {.calls = 0};
    watch(&w, ctx, first());
    assert_in_range(probe_sleep(ctx, 10), 1, 10); /* threads wait for it from now on */
    watch(&w, ctx, close_and_reuse(w.handle, second));
    assert_false(drive(ctx, false));
    for (int i = 1; i <= 4; i++) {
        if (i % 2) {
            assert_in_range(probe_sleep(ctx, 10), 1, 10);
        }
        SetEvent(w.handle);
        drive_until_calls(&w, i);
        ResetEvent(w.handle);
    }
    assert_false(drive(ctx, false));
    close_watched(&w);
    no_error_is_recorded(ctx);
}

static void reuse(AioContext *ctx)
{
    reuse_as(ctx, manual_event_clear, auto_event_clear);
    reuse_as(ctx, auto_event_clear, manual_event_clear);
    reuse_as(ctx, auto_event_clear, auto_event_clear);
}

static void handler_set_for_another_object_of_the_same_number_waits_for_that_one(void **state)
{
    (void)state;
    alone_and_in_a_crowd(reuse);
}

static void find_closed(AioContext *ctx)
{
    enum { UNITS = 8 };
    for (int turns = 0; turns < 4; turns++) { /* looks begin at another place each time */
        for (int order = 0; order < 2; order++) {
            Watched semaphore = {.calls = 0}, closed = {.calls = 0};
            if (order == 0) {
                watch(&semaphore, ctx, CreateSemaphoreW(NULL, 0, UNITS, NULL));
                crowd_in(ctx, true);
            }
            watch(&closed, ctx, auto_event(false));
            if (order == 1) {
                crowd_in(ctx, true);
                watch(&semaphore, ctx, CreateSemaphoreW(NULL, 0, UNITS, NULL));
            }
            for (int i = 0; i < turns; i++) {
                assert_false(drive(ctx, false));
            }
            ReleaseSemaphore(semaphore.handle, UNITS, NULL);
            CloseHandle(closed.handle);
            while (drive(ctx, false)) {
                continue;
            }
            assert_int_equal(closed.errors, 1);
            assert_int_equal(semaphore.calls, UNITS);
            probe_expect_error(ctx, EBADF, "can't be watched");
            unwatch(&closed);
            close_watched(&semaphore);
            crowd_out(true);
        }
    }
}

static void no_unit_is_lost_where_another_handle_is_found_closed(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    find_closed(ctx);
    fixture_context_free(ctx);
}

static void close_then_remove(AioContext *ctx)
{
    Watched closed = {.calls = 0}, other = {.calls = 0};
    watch(&closed, ctx, auto_event(false));
    watch(&other, ctx, auto_event(false));
    assert_in_range(probe_sleep(ctx, 10), 1, 10);
    CloseHandle(closed.handle);
    SetEvent(other.handle); /* who took that waits anew, and can't: one is closed */
    fixture_sleep_ms(50);
    unwatch(&closed);
    drive_until_calls(&other, 1);
    assert_int_equal(closed.errors, 0);
    no_error_is_recorded(ctx);
    close_watched(&other);
}

static void handle_closed_shortly_before_its_handler_is_removed_is_no_error(void **state)
{
    (void)state;
    alone_and_in_a_crowd(close_then_remove);
}

/* Have a signal taken for an external handler that is disabled by then. */
static void have_signal_kept(Watched *w, AioContext *ctx, HANDLE handle, void (*signal)(HANDLE))
{
    assert_true(try_watch(w, ctx, handle, AIO_HANDLER_EXTERNAL, NULL));
    assert_in_range(probe_sleep(ctx, 10), 1, 10); /* threads wait for it from now on */
    signal(handle);
    fixture_sleep_ms(50); /* and have it */
    aio_disable_external(ctx);
    assert_false(drive(ctx, false));
    assert_int_equal(w->calls, 0);
    aio_enable_external(ctx);
}

static void set(HANDLE event)
{
    SetEvent(event);
}

static void release_unit(HANDLE semaphore)
{
    ReleaseSemaphore(semaphore, 1, NULL);
}

static void keep_beside_sockets(AioContext *ctx)
{
    enum { N = 3 };
    Probe sockets[N];
    Watched w = {.calls = 0};
    for (int i = 0; i < N; i++) {
        probe_open_reader(&sockets[i], ctx);
    }
    have_signal_kept(&w, ctx, auto_event(false), set);
    for (int i = 0; i < N; i++) {
        probe_ping(&sockets[i]);
    }
    while (drive(ctx, false)) {
        continue;
    }
    assert_int_equal(w.calls, 1);
    for (int i = 0; i < N; i++) {
        assert_int_equal(sockets[i].reads, 1);
        probe_close(&sockets[i]);
    }
    SetEvent(w.handle);
    drive_until_calls(&w, 2);
    close_watched(&w);
}

static void signal_that_is_kept_leaves_sockets_alone(void **state)
{
    (void)state;
    alone_and_in_a_crowd(keep_beside_sockets);
}

static void keep_and_prepare(AioContext *ctx)
{
    Watched w = {.calls = 0};
    have_signal_kept(&w, ctx, CreateSemaphoreW(NULL, 0, 10, NULL), release_unit);
    release_unit(w.handle);
    while (aio_prepare(ctx) || aio_pending(ctx)) {
        fixture_sleep_ms(20); /* nobody takes the second unit before the first is told */
        aio_dispatch(ctx);
    }
    while (drive(ctx, false)) {
        continue;
    }
    assert_int_equal(w.calls, 2);
    close_watched(&w);
}

static void unit_that_is_kept_and_the_next_are_two_calls_for_a_host(void **state)
{
    (void)state;
    alone_and_in_a_crowd(keep_and_prepare);
}

static void host_waits(AioContext *ctx)
{
    Watched w = {.calls = 0};
    watch(&w, ctx, auto_event(false));
    for (int i = 1; i <= 3; i++) {
        assert_false(aio_prepare(ctx));
        fixture_sleep_ms(20);
        SetEvent(w.handle);
        assert_int_equal(WaitForSingleObject(w.handle, 1000), WAIT_OBJECT_0);
        SetEvent(w.handle); /* what the host took it gives back */
        assert_true(aio_pending(ctx));
        aio_dispatch(ctx);
        assert_int_equal(w.calls, i);
        assert_in_range(probe_sleep(ctx, 10), 1, 10); /* a call that waits by itself */
    }
    /* What was taken in such a call is there at once. */
    SetEvent(w.handle);
    fixture_sleep_ms(50);
    assert_true(aio_prepare(ctx) || aio_pending(ctx));
    aio_dispatch(ctx);
    assert_int_equal(w.calls, 4);
    close_watched(&w);
}

static void nobody_takes_a_signal_that_a_host_waits_for(void **state)
{
    (void)state;
    alone_and_in_a_crowd(host_waits);
}

/* Another thread signals events one by one; home does to their handlers whatever it may. */
enum { EVENTS = 80 };

typedef struct Hammer {
    AioContext *ctx;
    Watched events[EVENTS];
    CRITICAL_SECTION lock; /* guards `signalled`: that one's handler is not removed */
    int signalled;
    atomic_int served;
    int sets;
    bool lost;
    atomic_bool over;
} Hammer;

static bool wait_until_served(Hammer *hammer)
{
    for (int64_t end = fixture_now_ns() + 5 * INT64_C(1000000000);
         atomic_load(&hammer->served) < hammer->sets;) {
        if (fixture_now_ns() > end) {
            return false;
        }
        fixture_yield();
    }
    return true;
}

static void signal_one_by_one(void *opaque)
{
    Hammer *hammer = opaque;
    int64_t end = fixture_now_ns() + fixture_long() * INT64_C(1000000000);
    while (!hammer->lost && fixture_now_ns() < end) {
        EnterCriticalSection(&hammer->lock);
        int event = hammer->signalled = hammer->sets * 7 % EVENTS;
        LeaveCriticalSection(&hammer->lock);
        hammer->sets++;
        SetEvent(hammer->events[event].handle);
        hammer->lost = !wait_until_served(hammer);
    }
    atomic_store(&hammer->over, true);
    aio_notify(hammer->ctx);
}

static void serve(Watched *watched)
{
    Hammer *hammer = watched->arg;
    int served = atomic_fetch_add(&hammer->served, 1);
    if (served % 5 == 0) {
        drive(watched->ctx, false);
    }
}

static void register_event(Watched *watched)
{
    assert_true(try_watch(watched, watched->ctx, watched->handle, AIO_HANDLER_EXTERNAL, NULL));
}

/* Something that loses no signal. */
static void disturb(Hammer *hammer, unsigned what)
{
    Watched *watched = &hammer->events[what / 5 % EVENTS];
    switch (what % 5) {
    case 0:
        aio_disable_external(hammer->ctx);
        drive(hammer->ctx, false);
        aio_enable_external(hammer->ctx);
        break;
    case 1: /* a removed one would lose it */
        EnterCriticalSection(&hammer->lock);
        if (watched != &hammer->events[hammer->signalled]) {
            unwatch(watched);
            register_event(watched);
        }
        LeaveCriticalSection(&hammer->lock);
        break;
    case 2:
        register_event(watched); /* replaces itself */
        break;
    case 3:
        drive(hammer->ctx, false);
        break;
    default:
        drive(hammer->ctx, true);
    }
}

static void hammered_handlers_get_each_signal_once(void **state)
{
    (void)state;
    static Hammer hammer;
    AioContext *ctx = fixture_home();
    hammer = (Hammer){.ctx = ctx};
    InitializeCriticalSection(&hammer.lock);
    crowd_in(ctx, true);
    for (int i = 0; i < EVENTS; i++) {
        hammer.events[i] =
            (Watched){.ctx = ctx, .handle = auto_event(false), .then = serve, .arg = &hammer};
        register_event(&hammer.events[i]);
    }
    FixtureThread *thread = fixture_thread_start(signal_one_by_one, &hammer);
    unsigned random = 1;
    while (!atomic_load(&hammer.over)) {
        random = random * 1103515245 + 12345;
        disturb(&hammer, random >> 16);
    }
    fixture_thread_join(thread);
    while (drive(ctx, false)) {
        continue;
    }
    print_message("%d signals, %d served\n", hammer.sets, atomic_load(&hammer.served));
    assert_false(hammer.lost);
    assert_int_equal(atomic_load(&hammer.served), hammer.sets);
    for (int i = 0; i < EVENTS; i++) {
        close_watched(&hammer.events[i]);
    }
    crowd_out(true);
    DeleteCriticalSection(&hammer.lock);
    fixture_context_free(ctx);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(handler_set_for_another_object_of_the_same_number_waits_for_that_one),
    cmocka_unit_test(no_unit_is_lost_where_another_handle_is_found_closed),
    cmocka_unit_test(handle_closed_shortly_before_its_handler_is_removed_is_no_error),
    cmocka_unit_test(signal_that_is_kept_leaves_sockets_alone),
    cmocka_unit_test(unit_that_is_kept_and_the_next_are_two_calls_for_a_host),
    cmocka_unit_test(nobody_takes_a_signal_that_a_host_waits_for),
    cmocka_unit_test(hammered_handlers_get_each_signal_once),
};
TEST_MAIN(tests)
