/*
 * Coroutines without any loop: entering, yielding, waking, ending, the pool, and what is fatal.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif

#ifdef UNDER_ASAN
/* Frames that outlive their function are found: a switcher must not look at what it left. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_stack_use_after_return=1";
}
#endif

static AioCoroutine *create(AioCoroutineFunc *entry, void *opaque)
{
    AioError *error = NULL;
    AioCoroutine *co = aio_co_create_full(entry, opaque, &error);
    if (!co) {
        print_error("%s\n", aio_error_message(error));
        aio_error_free(error);
        fail();
    }
    return co;
}

static void count_to_three(void *opaque)
{
    int *count = opaque;
    for (int i = 0; i < 3; i++) {
        ++*count;
        aio_co_yield();
    }
    ++*count;
}

static void runs_until_it_yields_and_goes_on_there(void **state)
{
    (void)state;
    int count = 0;
    AioCoroutine *co = create(count_to_three, &count);
    assert_int_equal(count, 0);
    for (int i = 1; i <= 4; i++) {
        aio_co_resume(co);
        assert_int_equal(count, i);
    }
}

typedef struct Seen {
    AioCoroutine *self;
    AioCoroutine *outer;
    bool inside;
    bool self_entered;
    bool outer_entered;
    AioContext *ctx;
} Seen;

static void look(void *opaque)
{
    Seen *seen = opaque;
    seen->self = aio_co_self();
    seen->inside = aio_co_in_coroutine();
    seen->self_entered = aio_co_entered(seen->self);
    seen->outer_entered = seen->outer && aio_co_entered(seen->outer);
    seen->ctx = aio_co_context(seen->self);
    aio_co_yield();
}

static void look_from_inside(void *opaque)
{
    Seen *seen = opaque;
    seen->outer = aio_co_self();
    AioCoroutine *inner = aio_co_create(look, seen);
    aio_co_resume(inner);
    aio_co_resume(inner);
}

static void self_is_the_running_one_and_outside_the_threads_own(void **state)
{
    (void)state;
    AioCoroutine *leader = aio_co_self();
    assert_non_null(leader);
    assert_ptr_equal(leader, aio_co_self());
    assert_false(aio_co_in_coroutine());
    Seen seen = {.self = NULL};
    AioCoroutine *co = create(look, &seen);
    assert_false(aio_co_entered(co));
    aio_co_resume(co);
    assert_ptr_equal(seen.self, co);
    assert_true(seen.inside);
    assert_true(seen.self_entered);
    assert_null(seen.ctx);
    assert_false(aio_co_entered(co));
    assert_ptr_equal(leader, aio_co_self());
    assert_false(aio_co_in_coroutine());
    aio_co_resume(co);
}

static void entered_holds_for_those_further_out(void **state)
{
    (void)state;
    Seen seen = {.self = NULL};
    aio_co_resume(create(look_from_inside, &seen));
    assert_true(seen.self_entered);
    assert_true(seen.outer_entered);
    assert_ptr_not_equal(seen.self, seen.outer);
}

/* A little language to write wake-ups down: each letter is a step of a coroutine. */
typedef struct Player {
    AioCoroutine *co;
    struct Player *wakes[3];
    char name;
    char *log;
} Player;

static void note(Player *player)
{
    size_t length = strlen(player->log);
    player->log[length] = player->name;
    player->log[length + 1] = '\0';
}

static void play(void *opaque)
{
    Player *player = opaque;
    note(player);
    for (int i = 0; i < 3 && player->wakes[i]; i++) {
        aio_co_wake(player->wakes[i]->co);
    }
}

static void woken_ones_run_depth_first_before_the_enterer_goes_on(void **state)
{
    (void)state;
    char log[32] = "";
    Player players[7];
    for (int i = 0; i < 7; i++) {
        players[i] = (Player){.name = (char)('a' + i), .log = log};
        players[i].co = create(play, &players[i]);
    }
    /* a wakes b and c; b wakes d and e; d wakes f; c wakes g. */
    players[0].wakes[0] = &players[1];
    players[0].wakes[1] = &players[2];
    players[1].wakes[0] = &players[3];
    players[1].wakes[1] = &players[4];
    players[3].wakes[0] = &players[5];
    players[2].wakes[0] = &players[6];
    aio_co_resume(players[0].co);
    assert_string_equal(log, "abdfecg");
}

static void play_nested(void *opaque)
{
    Player *player = opaque;
    note(player);
    aio_co_wake(player->wakes[0]->co);
    aio_co_resume(player->wakes[1]->co);
    player->name = (char)(player->name - 'a' + 'A');
    note(player);
}

static void an_enterer_gets_back_only_after_what_the_entered_woke(void **state)
{
    (void)state;
    char log[32] = "";
    Player players[4];
    for (int i = 0; i < 4; i++) {
        players[i] = (Player){.name = (char)('a' + i), .log = log};
        players[i].co = create(i == 0 ? play_nested : play, &players[i]);
    }
    /* a wakes b, then enters c, which wakes d: d runs before a goes on, b after it. */
    players[0].wakes[0] = &players[1];
    players[0].wakes[1] = &players[2];
    players[2].wakes[0] = &players[3];
    aio_co_resume(players[0].co);
    assert_string_equal(log, "acdAb");
}

static void waking_outside_of_coroutines_enters_at_once(void **state)
{
    (void)state;
    int count = 0;
    AioCoroutine *co = create(count_to_three, &count);
    aio_co_wake(co);
    assert_int_equal(count, 1);
    aio_co_enter(NULL, co);
    assert_int_equal(count, 2);
    aio_co_wake(co);
    aio_co_wake(co);
    assert_int_equal(count, 4);
}

#define MUTUAL 25000

typedef struct Mutual {
    AioCoroutine *co;
    struct Mutual *other;
    int left;
    uintptr_t low;
    uintptr_t high;
} Mutual;

static void wake_the_other(void *opaque)
{
    Mutual *self = opaque;
    while (self->left-- > 0) {
        char here;
        uintptr_t address = (uintptr_t)&here;
        self->low = address < self->low ? address : self->low;
        self->high = address > self->high ? address : self->high;
        aio_co_wake(self->other->co);
        aio_co_yield();
    }
}

static void mutual_wake_ups_leave_the_stacks_flat(void **state)
{
    (void)state;
    Mutual a = {.left = MUTUAL, .low = UINTPTR_MAX};
    Mutual b = {.left = MUTUAL, .low = UINTPTR_MAX, .other = &a};
    a.other = &b;
    a.co = create(wake_the_other, &a);
    b.co = create(wake_the_other, &b);
    aio_co_resume(a.co);
    /* The last of them woke one that had ended its loop: it ended then, and so did a. */
    assert_int_equal(a.left, -1);
    assert_int_equal(b.left, 0);
    assert_true(a.high - a.low < 4096);
    assert_true(b.high - b.low < 4096);
    aio_co_resume(b.co);
}

static void chain(void *opaque)
{
    Mutual *self = opaque;
    char here;
    self->low = (uintptr_t)&here;
    if (self->other) {
        aio_co_wake(self->other->co);
    }
}

static void chains_of_ending_coroutines_are_flat_too(void **state)
{
    (void)state;
    enum { LINKS = 1000 };
    Mutual *links = calloc(LINKS, sizeof(*links));
    for (int i = 0; i < LINKS; i++) {
        links[i].other = i + 1 < LINKS ? &links[i + 1] : NULL;
        links[i].co = create(chain, &links[i]);
    }
    aio_co_resume(links[0].co);
    for (int i = 0; i < LINKS; i++) {
        assert_true(links[i].low != 0);
    }
    free(links);
}

typedef struct Submitter {
    AioCoroutine *co;
    int result;
    int spurious;
    bool nested;
} Submitter;

static void complete(void *opaque)
{
    Submitter *submitter = opaque;
    submitter->result = 42;
    aio_co_wake(submitter->co);
}

/* The request is complete before its submitter comes to yield. */
static void submit(void *opaque)
{
    Submitter *submitter = opaque;
    if (submitter->nested) {
        aio_co_resume(aio_co_create(complete, submitter));
    } else {
        complete(submitter);
    }
    aio_co_yield();
    submitter->result++;
    aio_co_yield();
    submitter->spurious++;
}

static void a_request_may_complete_inside_its_own_submit(void **state)
{
    (void)state;
    for (int nested = 0; nested < 2; nested++) {
        Submitter submitter = {.nested = nested};
        submitter.co = create(submit, &submitter);
        aio_co_resume(submitter.co);
        assert_int_equal(submitter.result, 43);
        assert_int_equal(submitter.spurious, 0);
        aio_co_resume(submitter.co);
        assert_int_equal(submitter.spurious, 1);
    }
}

static void nothing(void *opaque)
{
    (void)opaque;
}

static void an_ended_coroutine_is_used_again(void **state)
{
    (void)state;
    int count = 0;
    AioCoroutine *co = create(nothing, NULL);
    aio_co_resume(co);
    for (int i = 0; i < 100; i++) {
        AioCoroutine *again = create(count_to_three, &count);
        assert_ptr_equal(again, co);
        assert_null(aio_co_context(again));
        for (int j = 0; j < 4; j++) {
            aio_co_resume(again);
        }
    }
    assert_int_equal(count, 400);
}

static void a_coroutine_never_entered_can_be_discarded(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        aio_co_discard(create(nothing, NULL));
    }
}

#define DEEP (900 * 1024)

static void use_the_stack(void *opaque)
{
    volatile char deep[DEEP];
    for (size_t i = 0; i < DEEP; i += 512) {
        deep[i] = (char)i;
    }
    aio_co_yield();
    int *sum = opaque;
    for (size_t i = 0; i < DEEP; i += 512) {
        *sum += deep[i] == (char)i;
    }
}

static void a_stack_of_one_mebibyte_is_there(void **state)
{
    (void)state;
    int sum = 0;
    AioCoroutine *co = create(use_the_stack, &sum);
    aio_co_resume(co);
    aio_co_resume(co);
    assert_int_equal(sum, DEEP / 512);
}

/* More values than the processor has registers for, integer and floating-point, all alive over the yield. */
static void keep_values(void *opaque)
{
    double *result = opaque;
    double x[12];
    long n[12];
    for (int i = 0; i < 12; i++) {
        x[i] = *result + i * 0.5;
        n[i] = (long)*result * i;
    }
    double a = x[0], b = x[1], c = x[2], d = x[3], e = x[4], f = x[5], g = x[6], h = x[7];
    long j = n[1], k = n[2], l = n[3], m = n[4], o = n[5], p = n[6], q = n[7];
    for (int i = 0; i < 10; i++) {
        aio_co_yield();
        a += b, b += c, c += d, d += e, e += f, f += g, g += h, h += 1;
        j += k, k += l, l += m, m += o, o += p, p += q, q += 1;
    }
    *result = a + b + c + d + e + f + g + h + (double)(j + k + l + m + o + p + q);
}

static void values_in_registers_survive_a_yield(void **state)
{
    (void)state;
    double first = 1, second = 2, alone = 1;
    AioCoroutine *co = create(keep_values, &alone);
    while (alone == 1) {
        aio_co_resume(co);
    }
    AioCoroutine *cos[2] = {create(keep_values, &first), create(keep_values, &second)};
    for (int i = 0; i <= 10; i++) {
        aio_co_resume(cos[0]);
        aio_co_resume(cos[1]);
    }
    assert_true(first == alone);
    assert_true(second != 2 && second != first);
}

/* Fatal errors. */

static void forever(void *opaque)
{
    (void)opaque;
    for (;;) {
        aio_co_yield();
    }
}

static void enter_itself(void *opaque)
{
    (void)opaque;
    aio_co_resume(aio_co_self());
}

static void die_by_entering_twice(void *arg)
{
    (void)arg;
    aio_co_enter(NULL, aio_co_create(enter_itself, NULL));
}

static void entering_an_entered_one_is_fatal_and_names_both_places(void **state)
{
    (void)state;
    assert_true(fixture_dies(die_by_entering_twice, NULL, "aio_co_resume: coroutine 0x"));
    assert_true(fixture_dies(die_by_entering_twice, NULL,
                             "was entered by aio_co_enter and has not yielded"));
}

static void wake_then_resume(void *other)
{
    aio_co_wake(other);
    aio_co_resume(other);
}

static void die_by_entering_a_woken_one(void *arg)
{
    (void)arg;
    aio_co_resume(aio_co_create(wake_then_resume, aio_co_create(forever, NULL)));
}

static void entering_a_woken_one_is_fatal_and_names_both_places(void **state)
{
    (void)state;
    assert_true(fixture_dies(die_by_entering_a_woken_one, NULL, "aio_co_resume: coroutine 0x"));
    assert_true(
        fixture_dies(die_by_entering_a_woken_one, NULL, "is scheduled already, by aio_co_wake"));
}

static void wake_twice(void *other)
{
    aio_co_wake(other);
    aio_co_enter(NULL, other);
}

static void die_by_waking_twice(void *arg)
{
    (void)arg;
    aio_co_resume(aio_co_create(wake_twice, aio_co_create(forever, NULL)));
}

static void waking_twice_is_fatal_and_names_both_places(void **state)
{
    (void)state;
    assert_true(fixture_dies(die_by_waking_twice, NULL, "aio_co_enter: coroutine 0x"));
    assert_true(fixture_dies(die_by_waking_twice, NULL, "is scheduled already, by aio_co_wake"));
}

static void die_by_yielding_outside(void *arg)
{
    (void)arg;
    aio_co_yield();
}

static void yielding_outside_of_a_coroutine_is_fatal(void **state)
{
    (void)state;
    assert_true(
        fixture_dies(die_by_yielding_outside, NULL, "aio_co_yield: not inside a coroutine"));
}

static void die_by_entering_an_ended_one(void *arg)
{
    (void)arg;
    AioCoroutine *co = aio_co_create(nothing, NULL);
    aio_co_enter(NULL, co);
    aio_co_resume(co);
}

static void entering_an_ended_one_is_fatal_and_names_both_places(void **state)
{
    (void)state;
    assert_true(fixture_dies(die_by_entering_an_ended_one, NULL, "aio_co_resume: coroutine 0x"));
    assert_true(fixture_dies(die_by_entering_an_ended_one, NULL,
                             "has ended; the last to enter it was aio_co_enter"));
}

static void wake_self_and_end(void *arg)
{
    (void)arg;
    aio_co_wake(aio_co_self());
}

static void die_by_ending_scheduled(void *arg)
{
    (void)arg;
    aio_co_resume(aio_co_create(wake_self_and_end, NULL));
}

static void ending_while_woken_is_fatal(void **state)
{
    (void)state;
    assert_true(
        fixture_dies(die_by_ending_scheduled, NULL, "is scheduled already, by aio_co_wake"));
}

static void die_by_entering_a_thread(void *arg)
{
    (void)arg;
    aio_co_resume(aio_co_self());
}

static void entering_a_thread_is_fatal(void **state)
{
    (void)state;
    assert_true(fixture_dies(die_by_entering_a_thread, NULL, "is a thread, not a coroutine"));
}

static void lock_and_end(void *mutex)
{
    aio_co_mutex_lock(mutex);
}

static void die_holding_a_mutex(void *arg)
{
    AioCoMutex mutex = {0};
    (void)arg;
    aio_co_resume(aio_co_create(lock_and_end, &mutex));
}

static void ending_with_a_mutex_held_is_fatal(void **state)
{
    (void)state;
    assert_true(fixture_dies(die_holding_a_mutex, NULL, "has ended and holds a mutex"));
}

/* The pool, and many coroutines. */

static void run_many_alive(unsigned count)
{
    AioCoroutine **cos = calloc(count, sizeof(AioCoroutine *));
    for (unsigned i = 0; i < count; i++) {
        cos[i] = create(nothing, NULL);
    }
    for (unsigned i = 0; i < count; i++) {
        aio_co_resume(cos[i]);
    }
    free(cos);
}

static void the_pool_is_bounded_for_the_whole_process(void **state)
{
    (void)state;
    AioError *error = NULL;
    unsigned before = fixture_maps();
    if (before == 0) {
        fixture_skip("maps can't be counted here");
    }
    run_many_alive(2000);
    assert_true(fixture_maps() <= before + 2 * 256 + 64);
    assert_true(aio_co_pool_set_max(3, &error));
    assert_true(fixture_maps() <= before + 2 * 3 + 64);
    run_many_alive(500);
    assert_true(fixture_maps() <= before + 2 * 3 + 64);
    assert_true(aio_co_pool_set_max(0, &error));
    run_many_alive(500);
    assert_true(fixture_maps() <= before + 64);
    assert_null(error);
}

static void sizes_of_the_pool_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const int bad[] = {-1, 16385, INT32_MAX};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        AioError *error = NULL;
        assert_false(aio_co_pool_set_max(bad[i], &error));
        assert_non_null(strstr(aio_error_message(error), i == 0   ? "-1"
                                                         : i == 1 ? "16385"
                                                                  : "2147483647"));
        aio_error_free(error);
    }
    assert_true(aio_co_pool_set_max(16384, NULL));
    assert_true(aio_co_pool_set_max(256, NULL));
}

typedef struct Half {
    AioCoroutine **cos;
    unsigned count;
} Half;

static void end_a_half(void *opaque)
{
    Half *half = opaque;
    for (unsigned i = 0; i < half->count; i++) {
        aio_co_resume(half->cos[i]);
    }
}

static void yield_once(void *opaque)
{
    (void)opaque;
    aio_co_yield();
}

static void many_idle_ones_end_in_other_threads_or_are_refused(void **state)
{
    (void)state;
#if defined(UNDER_TSAN)
    const unsigned wanted = 2000; /* its fibers are few */
#elif defined(UNDER_ASAN)
    const unsigned wanted = 10000; /* it ends the program where memory is refused to itself */
#else
    const unsigned wanted = 50000;
#endif
    unsigned before = fixture_maps();
    AioCoroutine **cos = calloc(wanted, sizeof(AioCoroutine *));
    unsigned made = 0;
    AioError *error = NULL;
    while (made < wanted && (cos[made] = aio_co_create_full(yield_once, NULL, &error))) {
        made++;
    }
    if (made < wanted) {
        print_message("%u made, then: %s\n", made, aio_error_message(error));
        assert_true(made > 10000);
        assert_int_equal(aio_error_code(error), 12 /* ENOMEM */);
        aio_error_free(error);
        made -= 1000; /* leave room for what the test itself maps */
        for (unsigned i = made; i < made + 1000; i++) {
            aio_co_discard(cos[i]);
        }
    }
    for (unsigned i = 0; i < made; i++) {
        aio_co_resume(cos[i]);
    }
    Half halves[2] = {{cos, made / 2}, {cos + made / 2, made - made / 2}};
    FixtureThread *threads[2];
    for (int i = 0; i < 2; i++) {
        threads[i] = fixture_thread_start(end_a_half, &halves[i]);
    }
    for (int i = 0; i < 2; i++) {
        fixture_thread_join(threads[i]);
    }
    free(cos);
    if (before) {
        assert_true(fixture_maps() <= before + 2 * 256 + 128);
    }
}

static void create_run_and_end(void *opaque)
{
    unsigned *done = opaque;
    unsigned rounds = 300 * fixture_long();
    for (unsigned i = 0; i < rounds; i++) {
        int count = 0;
        AioCoroutine *cos[5];
        for (int j = 0; j < 5; j++) {
            cos[j] = aio_co_create(count_to_three, &count);
        }
        for (int j = 0; j < 5 * 4; j++) {
            aio_co_resume(cos[j % 5]);
        }
        *done += count == 20;
    }
}

static void threads_create_and_end_coroutines_at_once(void **state)
{
    (void)state;
    enum { THREADS = 8 };
    FixtureThread *threads[THREADS];
    unsigned done[THREADS] = {0};
    for (int i = 0; i < THREADS; i++) {
        threads[i] = fixture_thread_start(create_run_and_end, &done[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        fixture_thread_join(threads[i]);
        assert_int_equal(done[i], 300 * fixture_long());
    }
}

/* Ends, and is freed, in the hands of another: whoever resumes it in between must not look back. */
static void hand_over(void *opaque)
{
    AioCoroutine **to = opaque;
    *to = aio_co_self();
    aio_co_yield();
}

static void finish_other(void *opaque)
{
    AioCoroutine **co = opaque;
    aio_co_resume(*co);
}

static void wake_finisher(void *opaque)
{
    AioCoroutine **pair = opaque;
    pair[0] = aio_co_self();
    aio_co_wake(pair[1]);
    aio_co_yield();
}

static void nothing_of_a_coroutine_is_read_after_it_was_left(void **state)
{
    (void)state;
    assert_true(aio_co_pool_set_max(0, NULL));
    /* Finished and freed by the one that it woke, before control is back with the first enterer. */
    AioCoroutine *pair[2];
    pair[1] = create(finish_other, &pair[0]);
    aio_co_resume(create(wake_finisher, pair));
    /* The same through another thread. */
    AioCoroutine *left = NULL;
    aio_co_resume(create(hand_over, &left));
    fixture_thread_join(fixture_thread_start(finish_other, &left));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(runs_until_it_yields_and_goes_on_there),
    cmocka_unit_test(self_is_the_running_one_and_outside_the_threads_own),
    cmocka_unit_test(entered_holds_for_those_further_out),
    cmocka_unit_test(woken_ones_run_depth_first_before_the_enterer_goes_on),
    cmocka_unit_test(an_enterer_gets_back_only_after_what_the_entered_woke),
    cmocka_unit_test(waking_outside_of_coroutines_enters_at_once),
    cmocka_unit_test(mutual_wake_ups_leave_the_stacks_flat),
    cmocka_unit_test(chains_of_ending_coroutines_are_flat_too),
    cmocka_unit_test(a_request_may_complete_inside_its_own_submit),
    cmocka_unit_test(an_ended_coroutine_is_used_again),
    cmocka_unit_test(a_coroutine_never_entered_can_be_discarded),
    cmocka_unit_test(a_stack_of_one_mebibyte_is_there),
    cmocka_unit_test(values_in_registers_survive_a_yield),
    cmocka_unit_test(entering_an_entered_one_is_fatal_and_names_both_places),
    cmocka_unit_test(entering_a_woken_one_is_fatal_and_names_both_places),
    cmocka_unit_test(waking_twice_is_fatal_and_names_both_places),
    cmocka_unit_test(yielding_outside_of_a_coroutine_is_fatal),
    cmocka_unit_test(entering_an_ended_one_is_fatal_and_names_both_places),
    cmocka_unit_test(ending_while_woken_is_fatal),
    cmocka_unit_test(entering_a_thread_is_fatal),
    cmocka_unit_test(ending_with_a_mutex_held_is_fatal),
    cmocka_unit_test(the_pool_is_bounded_for_the_whole_process),
    cmocka_unit_test(sizes_of_the_pool_that_make_no_sense_are_refused),
    cmocka_unit_test(many_idle_ones_end_in_other_threads_or_are_refused),
    cmocka_unit_test(threads_create_and_end_coroutines_at_once),
    cmocka_unit_test(nothing_of_a_coroutine_is_read_after_it_was_left),
};
TEST_MAIN(tests)
