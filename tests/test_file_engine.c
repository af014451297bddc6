/*
 * The seam of file engines: the same promises over the generic engine and over a fake one that does all that an
 * engine may do.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "core/alloc.h"
#include "tests/fake_engine.h"
#include "tests/fixture_file.h"

#define RW (AIO_FILE_READ | AIO_FILE_WRITE)

typedef struct Done {
    int calls;
    int64_t ret;
} Done;

static void done(void *opaque, int64_t ret)
{
    Done *d = opaque;
    d->calls++;
    d->ret = ret;
}

/* A context whose files go through the fake engine, by this plan (NULL: through the generic one). */
static AioContext *context_for(FakePlan *plan)
{
    AioContext *ctx = fixture_context();
    if (plan) {
        fake_engine_plan(plan);
        assert_int_equal(aio__file_engine_use(ctx, &fake_engine), 0);
    }
    return ctx;
}

static AioFile *open_file(AioContext *ctx, const FixtureFile *name, unsigned flags)
{
    AioFile *file = aio_file_open(ctx, name->path, flags, NULL);
    assert_non_null(file);
    return file;
}

/* Random requests against a model in memory. Those in flight never overlap. */
enum { MODEL_SIZE = 256 * 1024, IN_FLIGHT = 16, MAX_LENGTH = 20000, MAX_PIECES = 7 };

typedef enum Kind { READ, WRITE, ZEROES, DISCARD, FLUSH, KINDS } Kind;

typedef struct Slot {
    struct Model *model;
    bool busy;
    Kind kind;
    int64_t offset, length;
    char buffer[MAX_LENGTH];
} Slot;

typedef struct Model {
    unsigned random;
    unsigned completed;
    unsigned wrong;
    unsigned in_flight;
    char bytes[MODEL_SIZE];
    bool known[MODEL_SIZE]; /* not after a discard */
    Slot slots[IN_FLIGHT];
} Model;

static unsigned draw(Model *model, unsigned below)
{
    model->random = model->random * 1664525u + 1013904223u;
    return (model->random >> 8) % below;
}

static bool overlaps(const Model *model, int64_t offset, int64_t length)
{
    for (int i = 0; i < IN_FLIGHT; i++) {
        const Slot *slot = &model->slots[i];
        if (slot->busy && slot->offset < offset + length && offset < slot->offset + slot->length) {
            return true;
        }
    }
    return false;
}

static unsigned differences(const Model *model, const char *buffer, int64_t offset, int64_t length)
{
    unsigned count = 0;
    for (int64_t i = 0; i < length; i++) {
        count += model->known[offset + i] && model->bytes[offset + i] != buffer[i];
    }
    return count;
}

static void slot_done(void *opaque, int64_t ret)
{
    Slot *slot = opaque;
    Model *model = slot->model;
    bool transfer = slot->kind == READ || slot->kind == WRITE;
    bool refused_discard = slot->kind == DISCARD && ret == -ENOTSUP;
    model->wrong += ret != (transfer ? slot->length : 0) && !refused_discard;
    if (slot->kind == READ) {
        model->wrong += differences(model, slot->buffer, slot->offset, slot->length) > 0;
    }
    slot->busy = false;
    model->completed++;
    model->in_flight--;
}

/* The pieces are cut at random, empty ones included, and in order. */
static int cut(Model *model, Slot *slot, AioIoVec *pieces)
{
    int64_t at = 0;
    int n = 0;
    while (n < MAX_PIECES - 1) {
        int64_t len = (int64_t)draw(model, (unsigned)(slot->length - at) + 1);
        pieces[n++] = (AioIoVec){.base = slot->buffer + at, .len = (size_t)len};
        at += len;
    }
    pieces[n++] = (AioIoVec){.base = slot->buffer + at, .len = (size_t)(slot->length - at)};
    return n;
}

static void change(Model *model, const Slot *slot, bool known)
{
    for (int64_t i = 0; i < slot->length; i++) {
        model->bytes[slot->offset + i] = slot->kind == WRITE ? slot->buffer[i] : 0;
        model->known[slot->offset + i] = known;
    }
}

static AioRequest *submit_slot(AioFile *file, Slot *slot)
{
    static const unsigned zeroes_flags[] = {0, AIO_FILE_NO_HOLE, AIO_FILE_FUA};
    Model *model = slot->model;
    AioIoVec pieces[MAX_PIECES];
    int n = cut(model, slot, pieces);
    switch (slot->kind) {
    case READ:
        return aio_file_preadv(file, pieces, n, slot->offset, slot_done, slot, NULL);
    case WRITE:
        for (int64_t i = 0; i < slot->length; i++) {
            slot->buffer[i] = (char)draw(model, 256);
        }
        change(model, slot, true);
        return aio_file_pwritev(file, pieces, n, slot->offset,
                                draw(model, 20) == 0 ? AIO_FILE_FUA : 0, slot_done, slot, NULL);
    case ZEROES:
        change(model, slot, true);
        return aio_file_write_zeroes(file, slot->offset, slot->length, zeroes_flags[draw(model, 3)],
                                     slot_done, slot, NULL);
    case DISCARD:
        change(model, slot, false);
        return aio_file_discard(file, slot->offset, slot->length, slot_done, slot, NULL);
    default:
        return aio_file_fdatasync(file, slot_done, slot, NULL);
    }
}

static void start_one(Model *model, AioFile *file)
{
    Slot *slot = model->slots;
    int64_t length = 1 + (int64_t)draw(model, MAX_LENGTH);
    int64_t offset = (int64_t)draw(model, (unsigned)(MODEL_SIZE - length));
    while (slot < model->slots + IN_FLIGHT && slot->busy) {
        slot++;
    }
    if (slot == model->slots + IN_FLIGHT || overlaps(model, offset, length)) {
        return; /* the caller drives the loop and tries again */
    }
    *slot = (Slot){.model = model, .busy = true, .offset = offset, .length = length};
    unsigned kind = draw(model, 40);
    slot->kind = kind < 18   ? READ
                 : kind < 34 ? WRITE
                 : kind < 37 ? ZEROES
                 : kind < 39 ? DISCARD
                             : FLUSH;
    model->in_flight++;
    assert_non_null(submit_slot(file, slot));
}

static void run_model(FakePlan *plan, unsigned count)
{
    AioContext *ctx = context_for(plan);
    FixtureFile name = fixture_file(MODEL_SIZE);
    AioFile *file = open_file(ctx, &name, RW);
    Model *model = calloc(1, sizeof(*model));
    char *content = malloc(MODEL_SIZE);
    assert_non_null(model);
    assert_non_null(content);
    model->random = 42;
    memset(model->known, 1, sizeof(model->known));
    while (model->completed < count) {
        for (int i = 0; i < 4; i++) {
            start_one(model, file);
        }
        drive(ctx, draw(model, 2) && model->in_flight > 0);
    }
    while (model->in_flight > 0) {
        drive(ctx, true);
    }
    assert_int_equal(model->wrong, 0);
    assert_int_equal(fixture_file_load(&name, content, MODEL_SIZE, 0), MODEL_SIZE);
    assert_int_equal(differences(model, content, 0, MODEL_SIZE), 0);
    free(content);
    free(model);
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void generic_engine_keeps_data_intact(void **state)
{
    (void)state;
    run_model(NULL, 3000 * fixture_long());
}

static void engine_that_cuts_delays_and_reorders_keeps_data_intact(void **state)
{
    (void)state;
    FakePlan plan = {.seed = 7, .rounds = 5, .short_of = 2, .again_of = 4, .reorder = true};
    run_model(&plan, 2000 * fixture_long());
    assert_true(plan.attempts > plan.submits);
}

static void short_reads_are_put_together(void **state)
{
    (void)state;
    enum { SIZE = 5000 };
    static char out[SIZE], in[SIZE + 1000];
    for (unsigned seed = 0; seed < 50; seed++) {
        FakePlan plan = {.seed = seed, .short_of = 1, .again_of = 3};
        AioContext *ctx = context_for(&plan);
        FixtureFile name = fixture_file(0);
        for (int i = 0; i < SIZE; i++) {
            out[i] = (char)(i * 7 + (int)seed);
        }
        fixture_file_store(&name, out, SIZE, 0);
        AioFile *file = open_file(ctx, &name, AIO_FILE_READ);
        AioIoVec pieces[3] = {{in, 1000}, {in + 1000, 0}, {in + 1000, SIZE}};
        Done d[2] = {{0}};
        memset(in, 0, SIZE);
        assert_non_null(aio_file_preadv(file, pieces, 2, 0, done, &d[0], NULL));
        assert_non_null(
            aio_file_preadv(file, &pieces[2], 1, 1000, done, &d[1], NULL)); /* past the end */
        while (!d[0].calls || !d[1].calls) {
            drive(ctx, true);
        }
        assert_int_equal(d[0].ret, 1000);
        assert_int_equal(d[1].ret, SIZE - 1000);
        assert_memory_equal(in, out, SIZE);
        aio_file_close(file);
        fixture_file_remove(&name);
        fixture_context_free(ctx);
    }
}

static void engine_that_never_gets_on_ends_in_an_error(void **state)
{
    (void)state;
    char byte;
    AioIoVec one = {.base = &byte, .len = 1};
    FakePlan plan = {.fail = -EAGAIN};
    AioContext *ctx = context_for(&plan);
    FixtureFile name = fixture_file(10);
    AioFile *file = open_file(ctx, &name, AIO_FILE_READ);
    Done d = {.calls = 0};
    assert_non_null(aio_file_preadv(file, &one, 1, 0, done, &d, NULL));
    while (!d.calls) {
        drive(ctx, true);
    }
    assert_int_equal(d.ret, -EAGAIN);
    assert_in_range(plan.attempts, 10, 1000);
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void error_of_the_engine_is_the_result(void **state)
{
    (void)state;
    char byte = 0;
    AioIoVec one = {.base = &byte, .len = 1};
    FakePlan plan = {.fail = -EIO};
    AioContext *ctx = context_for(&plan);
    FixtureFile name = fixture_file(10);
    AioFile *file = open_file(ctx, &name, RW);
    Done d[4] = {{0}};
    assert_non_null(aio_file_preadv(file, &one, 1, 0, done, &d[0], NULL));
    assert_non_null(aio_file_pwritev(file, &one, 1, 0, 0, done, &d[1], NULL));
    assert_non_null(aio_file_fsync(file, done, &d[2], NULL));
    assert_non_null(aio_file_discard(file, 0, 5, done, &d[3], NULL));
    aio_file_close(file);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(d[i].calls, 1);
        assert_int_equal(d[i].ret, -EIO);
    }
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void both_answers_to_a_cancel_complete_the_request_once(void **state)
{
    (void)state;
    enum { N = 20 };
    static char bytes[N];
    for (int honour = 0; honour < 2; honour++) {
        FakePlan plan = {.rounds = 3, .honour_cancel = honour};
        AioContext *ctx = context_for(&plan);
        FixtureFile name = fixture_file(100);
        AioFile *file = open_file(ctx, &name, AIO_FILE_READ);
        Done d[N] = {{0}};
        for (int i = 0; i < N; i++) {
            AioIoVec one = {.base = &bytes[i], .len = 1};
            AioRequest *request = aio_file_preadv(file, &one, 1, i, done, &d[i], NULL);
            assert_non_null(request);
            if (i % 2) {
                aio_request_cancel_async(request);
                assert_int_equal(d[i].calls, 0);
            } else if (i % 4 == 0) {
                aio_request_cancel(request);
                assert_int_equal(d[i].calls, 1);
            }
        }
        aio_file_close(file);
        for (int i = 0; i < N; i++) {
            assert_int_equal(d[i].calls, 1);
            assert_int_equal(d[i].ret, honour && i % 4 != 2 ? -ECANCELED : 1);
        }
        assert_int_equal(plan.cancels, N / 2 + N / 4);
        fixture_file_remove(&name);
        fixture_context_free(ctx);
    }
}

static void more_in_flight_than_the_engine_looks_at_all_complete(void **state)
{
    (void)state;
    enum { N = 2000, AT_ONCE = 8 };
    static char bytes[N];
    static Done d[N];
    FakePlan plan = {.at_once = AT_ONCE, .rounds = 2, .reorder = true};
    AioContext *ctx = context_for(&plan);
    FixtureFile name = fixture_file(N);
    AioFile *file = open_file(ctx, &name, AIO_FILE_READ);
    memset(d, 0, sizeof(d));
    for (int i = 0; i < N; i++) {
        AioIoVec one = {.base = &bytes[i], .len = 1};
        assert_non_null(aio_file_preadv(file, &one, 1, i, done, &d[i], NULL));
    }
    aio_file_close(file);
    for (int i = 0; i < N; i++) {
        assert_int_equal(d[i].calls, 1);
        assert_int_equal(d[i].ret, 1);
    }
    assert_int_equal(plan.most, N);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void refused_submit_is_an_error_and_no_request(void **state)
{
    (void)state;
    char byte;
    AioIoVec pieces[10];
    FakePlan plan = {.fail_submit = -ENOSPC};
    AioContext *ctx = context_for(&plan);
    FixtureFile name = fixture_file(10);
    AioFile *file = open_file(ctx, &name, AIO_FILE_READ);
    Done d = {.calls = 0};
    AioError *error = NULL;
    for (int i = 0; i < 10; i++) {
        pieces[i] = (AioIoVec){.base = &byte, .len = 1};
    }
    assert_null(aio_file_preadv(file, pieces, 10, 0, done, &d, &error));
    assert_int_equal(aio_error_code(error), ENOSPC);
    aio_error_free(error);
    assert_int_equal(plan.flushes, 0);
    aio_file_close(file);
    assert_int_equal(d.calls, 0);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void flush_follows_each_submit_or_the_section_of_several(void **state)
{
    (void)state;
    char bytes[5];
    FakePlan plan = {.rounds = 1};
    AioContext *ctx = context_for(&plan);
    FixtureFile name = fixture_file(10);
    AioFile *file = open_file(ctx, &name, AIO_FILE_READ);
    for (int i = 0; i < 3; i++) {
        AioIoVec one = {.base = &bytes[i], .len = 1};
        assert_non_null(aio_file_preadv(file, &one, 1, i, NULL, NULL, NULL));
        assert_int_equal(plan.flushes, (unsigned)i + 1);
    }
    aio_defer_begin();
    for (int i = 0; i < 5; i++) {
        AioIoVec one = {.base = &bytes[i], .len = 1};
        assert_non_null(aio_file_preadv(file, &one, 1, i, NULL, NULL, NULL));
    }
    assert_int_equal(plan.flushes, 3);
    aio_defer_end();
    assert_int_equal(plan.flushes, 4);
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

static void engine_is_chosen_before_the_first_file(void **state)
{
    (void)state;
    FakePlan plan = {.seed = 1};
    AioContext *ctx = fixture_context();
    FixtureFile name = fixture_file(10);
    AioFile *file = open_file(ctx, &name, AIO_FILE_READ);
    fake_engine_plan(&plan);
    assert_int_equal(aio__file_engine_use(ctx, &fake_engine), -EBUSY);
    aio_file_close(file);
    fixture_file_remove(&name);
    fixture_context_free(ctx);
}

/* All kinds of requests with the n-th allocation refused: each is an error or completes. */
static unsigned submit_all(AioFile *file, Done *d, char *buffer)
{
    AioIoVec pieces[10];
    AioError *error = NULL;
    unsigned submitted = 0;
    for (int i = 0; i < 10; i++) {
        pieces[i] = (AioIoVec){.base = buffer + i, .len = 1};
    }
    for (int kind = 0; kind < 7; kind++) {
        AioRequest *request = kind == 0   ? aio_file_preadv(file, pieces, 10, 0, done, d, &error)
                              : kind == 1 ? aio_file_preadv(file, pieces, 1, 0, done, d, &error)
                              : kind == 2
                                  ? aio_file_pwritev(file, pieces, 10, 20, 0, done, d, &error)
                              : kind == 3 ? aio_file_preadv(file, pieces, 0, 0, done, d, &error)
                              : kind == 4 ? aio_file_write_zeroes(file, 40, 5, 0, done, d, &error)
                              : kind == 5 ? aio_file_discard(file, 50, 5, done, d, &error)
                                          : aio_file_fsync(file, done, d, &error);
        submitted += request != NULL;
        if (!request) {
            assert_true(aio__alloc_failed());
            assert_int_equal(aio_error_code(error), ENOMEM);
            aio_error_free(error);
            error = NULL;
        }
    }
    return submitted;
}

static void refused_memory_is_an_error_and_leaves_nothing(void **state)
{
    (void)state;
    char buffer[64] = "";
    for (int fake = 0; fake < 2; fake++) {
        bool refused = true;
        for (unsigned n = 1; refused; n++) {
            FakePlan plan = {.rounds = 1};
            unsigned handles = fixture_open_handles();
            AioContext *ctx = context_for(fake ? &plan : NULL);
            FixtureFile name = fixture_file(100);
            Done d = {.calls = 0};
            unsigned submitted = 0;
            AioError *error = NULL;
            aio__alloc_fail_at(n);
            AioFile *file = aio_file_open(ctx, name.path, RW, &error);
            if (file) {
                submitted = submit_all(file, &d, buffer);
            } else {
                assert_int_equal(aio_error_code(error), ENOMEM);
                aio_error_free(error);
            }
            refused = aio__alloc_failed();
            aio__alloc_fail_at(0);
            aio_file_close(file);
            assert_int_equal(d.calls, submitted);
            fixture_file_remove(&name);
            fixture_context_free(ctx); /* with its workers, which have handles on Windows */
            assert_true(fixture_handles_left(handles));
            assert_true(n < 100);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(generic_engine_keeps_data_intact),
    cmocka_unit_test(engine_that_cuts_delays_and_reorders_keeps_data_intact),
    cmocka_unit_test(short_reads_are_put_together),
    cmocka_unit_test(engine_that_never_gets_on_ends_in_an_error),
    cmocka_unit_test(error_of_the_engine_is_the_result),
    cmocka_unit_test(both_answers_to_a_cancel_complete_the_request_once),
    cmocka_unit_test(more_in_flight_than_the_engine_looks_at_all_complete),
    cmocka_unit_test(refused_submit_is_an_error_and_no_request),
    cmocka_unit_test(flush_follows_each_submit_or_the_section_of_several),
    cmocka_unit_test(engine_is_chosen_before_the_first_file),
    cmocka_unit_test(refused_memory_is_an_error_and_leaves_nothing),
};
TEST_MAIN(tests)
