/*
 * Windows' waitable handles: what is consumed and what lasts, any number of them, and those that can't be watched.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/win32_help.h"

static void manual_reset_event_is_reported_until_it_is_reset(void **state)
{
    (void)state;
    for (int crowded = 0; crowded < 2; crowded++) {
        AioContext *ctx = fixture_home();
        Watched w = {.calls = 0};
        crowd_in(ctx, crowded);
        watch(&w, ctx, manual_event(false));
        assert_false(drive(ctx, false));
        SetEvent(w.handle);
        for (int i = 1; i <= 10; i++) {
            assert_true(drive(ctx, i % 2));
            assert_int_equal(w.calls, i);
        }
        w.reset = true;
        assert_true(drive(ctx, true));
        assert_int_equal(w.calls, 11);
        assert_false(drive(ctx, false));
        assert_in_range(probe_sleep(ctx, 30), 1, 10);
        assert_int_equal(w.calls, 11);
        close_watched(&w);
        crowd_out(crowded);
        fixture_context_free(ctx);
    }
}

static void auto_reset_signal_is_reported_exactly_once(void **state)
{
    (void)state;
    for (int crowded = 0; crowded < 2; crowded++) {
        AioContext *ctx = fixture_home();
        Watched w = {.calls = 0};
        crowd_in(ctx, crowded);
        watch(&w, ctx, auto_event(true));
        assert_true(drive(ctx, true));
        assert_int_equal(w.calls, 1);
        for (int i = 2; i <= 20; i++) {
            assert_false(drive(ctx, false));
            SetEvent(w.handle);
            assert_true(drive(ctx, i % 2));
            assert_int_equal(w.calls, i);
        }
        assert_in_range(probe_sleep(ctx, 30), 1, 10);
        assert_int_equal(w.calls, 20);
        close_watched(&w);
        crowd_out(crowded);
        fixture_context_free(ctx);
    }
}

static void semaphore_calls_once_for_each_unit(void **state)
{
    (void)state;
    for (int crowded = 0; crowded < 2; crowded++) {
        AioContext *ctx = fixture_home();
        Watched w = {.calls = 0};
        crowd_in(ctx, crowded);
        watch(&w, ctx, CreateSemaphoreW(NULL, 3, 1000, NULL));
        for (int i = 1; i <= 3; i++) {
            assert_true(drive(ctx, i % 2));
            assert_int_equal(w.calls, i);
        }
        assert_false(drive(ctx, false));
        ReleaseSemaphore(w.handle, 50, NULL);
        while (w.calls < 53) {
            assert_true(drive(ctx, true));
        }
        assert_in_range(probe_sleep(ctx, 30), 1, 10);
        assert_int_equal(w.calls, 53);
        close_watched(&w);
        crowd_out(crowded);
        fixture_context_free(ctx);
    }
}

static void run_the_loop(Watched *watched)
{
    watched->then = NULL;
    while (drive(watched->ctx, false)) {
        continue;
    }
}

static void signal_found_by_an_outer_iteration_is_served_by_an_inner_one_once(void **state)
{
    (void)state;
    for (int crowded = 0; crowded < 2; crowded++) {
        AioContext *ctx = fixture_home();
        enum { N = 5 };
        Watched w[N];
        crowd_in(ctx, crowded);
        for (int i = 0; i < N; i++) {
            w[i] = (Watched){.then = i == 0 ? run_the_loop : NULL};
            watch(&w[i], ctx, i % 2 ? auto_event(true) : CreateSemaphoreW(NULL, 4, 4, NULL));
        }
        while (drive(ctx, false)) {
            continue;
        }
        for (int i = 0; i < N; i++) {
            assert_int_equal(w[i].calls, i % 2 ? 1 : 4);
            close_watched(&w[i]);
        }
        crowd_out(crowded);
        fixture_context_free(ctx);
    }
}

static void disable(Watched *watched)
{
    aio_disable_external(watched->ctx);
}

static void signals_of_external_handles_are_kept_while_they_are_disabled(void **state)
{
    (void)state;
    for (int crowded = 0; crowded < 2; crowded++) {
        AioContext *ctx = fixture_home();
        enum { N = 4 };
        Watched w[N];
        crowd_in(ctx, crowded);
        for (int i = 0; i < N; i++) {
            w[i] = (Watched){.then = disable};
            assert_true(try_watch(&w[i], ctx, auto_event(false), AIO_HANDLER_EXTERNAL, NULL));
        }
        probe_sleep(ctx, 10); /* where a thread waits for them, it does so from now on */
        for (int i = 0; i < N; i++) {
            SetEvent(w[i].handle);
        }
        fixture_sleep_ms(50); /* and has them all */
        int calls = 0;
        while (
            calls <
            N) { /* each time one is called, which disables the others; they may be found already */
            assert_true(drive(ctx, true));
            assert_false(drive(ctx, false));
            int now = 0;
            for (int i = 0; i < N; i++) {
                now += w[i].calls;
            }
            assert_int_equal(now, calls + 1);
            calls = now;
            aio_enable_external(ctx);
        }
        assert_false(drive(ctx, false));
        for (int i = 0; i < N; i++) {
            assert_int_equal(w[i].calls, 1);
            close_watched(&w[i]);
        }
        crowd_out(crowded);
        fixture_context_free(ctx);
    }
}

static void signal_that_a_thread_took_before_the_handler_was_disabled_is_kept(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Watched w = {.calls = 0};
    crowd_in(ctx, true);
    assert_true(try_watch(&w, ctx, auto_event(false), AIO_HANDLER_EXTERNAL, NULL));
    probe_sleep(ctx, 10); /* a thread waits for it from now on */
    SetEvent(w.handle);
    fixture_sleep_ms(50); /* and has it */
    aio_disable_external(ctx);
    assert_false(drive(ctx, false));
    aio_enable_external(ctx);
    assert_true(drive(ctx, true));
    assert_int_equal(w.calls, 1);
    assert_false(drive(ctx, false));
    close_watched(&w);
    crowd_out(true);
    fixture_context_free(ctx);
}

static DWORD WINAPI end_at_once(void *opaque)
{
    (void)opaque;
    return 0;
}

static HANDLE ended_process(void)
{
    char program[MAX_PATH], line[MAX_PATH + 32];
    STARTUPINFOA start = {.cb = sizeof(start)};
    PROCESS_INFORMATION process = {.hProcess = NULL};
    GetModuleFileNameA(NULL, program, sizeof(program));
    snprintf(line, sizeof(line), "\"%s\" --no-such-option", program);
    CreateProcessA(NULL, line, NULL, NULL, FALSE, DETACHED_PROCESS, NULL, NULL, &start, &process);
    CloseHandle(process.hThread);
    return process.hProcess;
}

static void threads_processes_and_timers_are_watched(void **state)
{
    (void)state;
    AioContext *ctx = fixture_home();
    Watched thread = {.calls = 0}, process = {.calls = 0}, timer = {.calls = 0};
    watch(&thread, ctx, CreateThread(NULL, 0, end_at_once, NULL, 0, NULL));
    while (thread.calls == 0) {
        drive(ctx, true);
    }
    assert_true(drive(ctx, true)); /* it stays ended */
    close_watched(&thread);
    watch(&process, ctx, ended_process());
    while (process.calls == 0) {
        drive(ctx, true);
    }
    close_watched(&process);
    watch(&timer, ctx, CreateWaitableTimerW(NULL, FALSE, NULL));
    LARGE_INTEGER soon = {.QuadPart = -50000}; /* 5 ms */
    int64_t start = fixture_now_ns();
    assert_true(SetWaitableTimer(timer.handle, &soon, 0, NULL, NULL, FALSE));
    assert_true(drive(ctx, true));
    assert_int_equal(timer.calls, 1);
    assert_true(fixture_now_ns() - start >= 4000000);
    assert_false(drive(ctx, false));
    close_watched(&timer);
    fixture_context_free(ctx);
}

/* So many events, signalled one by one, all at once, and from another thread. */
static void serve_many(int n)
{
    AioContext *ctx = fixture_home();
    Watched *w = calloc((size_t)n, sizeof(*w));
    for (int i = 0; i < n; i++) {
        watch(&w[i], ctx, auto_event(false));
    }
    for (int i = 0; i < n; i += n / 10) {
        SetEvent(w[i].handle);
        assert_true(drive(ctx, true));
        assert_int_equal(w[i].calls, 1);
        w[i].calls = 0;
    }
    assert_false(drive(ctx, false));
    for (int round = 0; round < 2; round++) {
        int served = 0;
        for (int i = 0; i < n; i++) {
            SetEvent(w[i].handle);
        }
        while (served < n) {
            assert_true(drive(ctx, round));
            served = 0;
            for (int i = 0; i < n; i++) {
                served += w[i].calls;
            }
        }
        for (int i = 0; i < n; i++) {
            assert_int_equal(w[i].calls, 1);
            w[i].calls = 0;
        }
    }
    for (int i = 0; i < n; i++) {
        close_watched(&w[i]);
    }
    free(w);
    fixture_context_free(ctx);
}

static void any_number_of_handles_is_served(void **state)
{
    (void)state;
    const int numbers[] = {59, 60, 61, 62, 63, 64, 65, 66, 200, 1000};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        serve_many(numbers[i]);
    }
}

/* Before a thread waits for any of them, and while some do: a signal is not on its way when the call looks. */
static void call_that_does_not_block_finds_any_of_many(void **state)
{
    (void)state;
    enum { N = 300 };
    AioContext *ctx = fixture_home();
    Watched *w = calloc(N, sizeof(*w));
    for (int i = 0; i < N; i++) {
        watch(&w[i], ctx, auto_event(false));
    }
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < N; i += 7) {
            if (round) {
                probe_sleep(ctx, 1);
            }
            SetEvent(w[i].handle);
            assert_true(drive(ctx, false));
            assert_int_equal(w[i].calls, round + 1);
        }
        assert_false(drive(ctx, false));
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(w[i].calls, i % 7 == 0 ? 2 : 0);
        close_watched(&w[i]);
    }
    free(w);
    fixture_context_free(ctx);
}

static void handles_that_are_always_signalled_get_equal_shares(void **state)
{
    (void)state;
    enum { N = 80, BUSY = 4, TURNS = 100 };
    AioContext *ctx = fixture_home();
    Watched w[N], events[BUSY] = {{.calls = 0}};
    for (int i = 0; i < N; i++) {
        w[i] = (Watched){.calls = 0};
        watch(&w[i], ctx, auto_event(false));
    }
    const int busy[BUSY] = {0, 30, 65, 79};
    for (int i = 0; i < BUSY; i++) {
        close_watched(&w[busy[i]]);
    }
    for (int i = 0; i < BUSY; i++) {
        watch(&events[i], ctx, manual_event(true));
    }
    Probe probe;
    probe_open_reader(&probe, ctx);
    probe.keep = true;
    probe_ping(&probe);
    for (int i = 0; i < TURNS; i++) {
        assert_true(drive(ctx, true));
    }
    int least = probe.reads, most = probe.reads;
    for (int i = 0; i < BUSY; i++) {
        least = events[i].calls < least ? events[i].calls : least;
        most = events[i].calls > most ? events[i].calls : most;
    }
    print_message("%d turns: between %d and %d calls\n", TURNS, least, most);
    assert_true(least > 0 && most <= 2 * least);
    for (int i = 0; i < BUSY; i++) {
        close_watched(&events[i]);
    }
    for (int i = 0; i < N; i++) {
        if (i != busy[0] && i != busy[1] && i != busy[2] && i != busy[3]) {
            close_watched(&w[i]);
        }
    }
    probe_close(&probe);
    fixture_context_free(ctx);
}

static void one_event_by_two_handles_serves_both(void **state)
{
    (void)state;
    for (int crowded = 0; crowded < 2; crowded++) {
        AioContext *ctx = fixture_home();
        Watched w[2] = {{.calls = 0}, {.calls = 0}};
        HANDLE event = manual_event(false), same = NULL, self = GetCurrentProcess();
        assert_true(DuplicateHandle(self, event, self, &same, 0, FALSE, DUPLICATE_SAME_ACCESS));
        crowd_in(ctx, crowded);
        watch(&w[0], ctx, event);
        watch(&w[1], ctx, same);
        SetEvent(event);
        while (w[0].calls == 0 || w[1].calls == 0) {
            assert_true(drive(ctx, true));
        }
        ResetEvent(same);
        drive(ctx, false);
        assert_in_range(probe_sleep(ctx, 30), 1, 10);
        /* An auto-reset signal goes to one of two. */
        close_watched(&w[0]);
        close_watched(&w[1]);
        w[0].calls = w[1].calls = 0;
        event = auto_event(false);
        assert_true(DuplicateHandle(self, event, self, &same, 0, FALSE, DUPLICATE_SAME_ACCESS));
        watch(&w[0], ctx, event);
        watch(&w[1], ctx, same);
        SetEvent(event);
        assert_true(drive(ctx, true));
        assert_in_range(probe_sleep(ctx, 30), 1, 10);
        assert_int_equal(w[0].calls + w[1].calls, 1);
        close_watched(&w[0]);
        close_watched(&w[1]);
        crowd_out(crowded);
        fixture_context_free(ctx);
    }
}

static void thousand_contexts_leave_no_handle(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) { /* what the system makes once */
        fixture_context_free(fixture_home());
    }
    unsigned before = fixture_open_handles();
    for (int i = 0; i < 1000; i++) {
        AioContext *ctx = fixture_home();
        Watched w = {.calls = 0};
        watch(&w, ctx, auto_event(true));
        drive(ctx, false);
        close_watched(&w);
        fixture_context_free(ctx);
    }
    assert_true(fixture_handles_left(before));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(manual_reset_event_is_reported_until_it_is_reset),
    cmocka_unit_test(auto_reset_signal_is_reported_exactly_once),
    cmocka_unit_test(semaphore_calls_once_for_each_unit),
    cmocka_unit_test(signal_found_by_an_outer_iteration_is_served_by_an_inner_one_once),
    cmocka_unit_test(signals_of_external_handles_are_kept_while_they_are_disabled),
    cmocka_unit_test(signal_that_a_thread_took_before_the_handler_was_disabled_is_kept),
    cmocka_unit_test(threads_processes_and_timers_are_watched),
    cmocka_unit_test(any_number_of_handles_is_served),
    cmocka_unit_test(call_that_does_not_block_finds_any_of_many),
    cmocka_unit_test(handles_that_are_always_signalled_get_equal_shares),
    cmocka_unit_test(one_event_by_two_handles_serves_both),
    cmocka_unit_test(thousand_contexts_leave_no_handle),
};
TEST_MAIN(tests)
