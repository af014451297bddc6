/*
 * Coroutines without any loop: entering, yielding, waking and ending.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/co_help.h"

static void runs_until_it_yields_and_goes_on_there(void **state)
{
    (void)state;
    int count = 0;
    AioCoroutine *co = co_make(co_count_to_three, &count);
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
    AioCoroutine *co = co_make(look, &seen);
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
    aio_co_resume(co_make(look_from_inside, &seen));
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
        players[i].co = co_make(play, &players[i]);
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
        players[i].co = co_make(i == 0 ? play_nested : play, &players[i]);
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
    AioCoroutine *co = co_make(co_count_to_three, &count);
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
    a.co = co_make(wake_the_other, &a);
    b.co = co_make(wake_the_other, &b);
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
        links[i].co = co_make(chain, &links[i]);
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
        submitter.co = co_make(submit, &submitter);
        aio_co_resume(submitter.co);
        assert_int_equal(submitter.result, 43);
        assert_int_equal(submitter.spurious, 0);
        aio_co_resume(submitter.co);
        assert_int_equal(submitter.spurious, 1);
    }
}

static void an_ended_coroutine_is_used_again(void **state)
{
    (void)state;
    int count = 0;
    AioCoroutine *co = co_make(co_nothing, NULL);
    aio_co_resume(co);
    for (int i = 0; i < 100; i++) {
        AioCoroutine *again = co_make(co_count_to_three, &count);
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
        aio_co_discard(co_make(co_nothing, NULL));
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
    AioCoroutine *co = co_make(use_the_stack, &sum);
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
    AioCoroutine *co = co_make(keep_values, &alone);
    while (alone == 1) {
        aio_co_resume(co);
    }
    AioCoroutine *cos[2] = {co_make(keep_values, &first), co_make(keep_values, &second)};
    for (int i = 0; i <= 10; i++) {
        aio_co_resume(cos[0]);
        aio_co_resume(cos[1]);
    }
    assert_true(first == alone);
    assert_true(second != 2 && second != first);
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
};
TEST_MAIN(tests)
