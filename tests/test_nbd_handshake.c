/*
 * What nbd-server answers until an export is chosen, mostly to bad messages: the protocol's error reply or a closed
 * connection with one line in the log, with other clients unharmed and the image intact (see nbd_finish()).
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L
#include "tests/nbd_client.h"

#include <sys/socket.h>
#include <unistd.h>

static void unknown_handshake_flags_close_the_connection(void **state)
{
    uint8_t p[18];
    (void)state;
    pid_t pid = nbd_start(NULL);
    int fd = nbd_connect();
    nbd_recv(fd, p, sizeof(p));
    nbd_put32(p, 0x80);
    nbd_send(fd, p, 4);
    nbd_expect_closed(fd);
    assert_true(nbd_log_has("unknown handshake flags 0x80"));
    nbd_finish(pid);
}

static void wrong_option_magic_closes_the_connection(void **state)
{
    (void)state;
    pid_t pid = nbd_start(NULL);
    int fd = nbd_greeted();
    nbd_send(fd, "GET / HTTP/1.1\r\n", 16);
    nbd_expect_closed(fd);
    assert_true(nbd_log_has("wrong magic number instead of an option"));
    nbd_finish(pid);
    assert_int_equal(nbd_log_count("client 2"), 1);
}

static void unknown_option_is_refused_and_haggling_goes_on(void **state)
{
    (void)state;
    pid_t pid = nbd_start(NULL);
    int fd = nbd_greeted();
    nbd_option(fd, 4711, "data", 4);
    assert_int_equal(nbd_option_result(fd, 4711), NBD_REP_ERR_UNSUP);
    nbd_option(fd, 5, NULL, 0); /* STARTTLS */
    assert_int_equal(nbd_option_result(fd, 5), NBD_REP_ERR_UNSUP);
    nbd_go(fd, "");
    close(fd);
    nbd_finish(pid);
}

static void oversized_option_is_refused_and_ends(void **state)
{
    static const uint32_t lengths[] = {16385, 0x7fffffff, 0xffffffff};
    (void)state;
    pid_t pid = nbd_start(NULL);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint8_t p[NBD_OPTION_SIZE];
        int fd = nbd_greeted();
        nbd_put32(nbd_put32(nbd_put64(p, NBD_OPTION_MAGIC), NBD_OPT_GO), lengths[i]);
        nbd_send(fd, p, sizeof(p));
        assert_int_equal(nbd_option_result(fd, NBD_OPT_GO), NBD_REP_ERR_TOO_BIG);
        nbd_expect_closed(fd);
    }
    assert_true(nbd_log_has("sent an option of 4294967295 bytes"));
    nbd_finish(pid);
}

static void error_reply_outlives_input_that_is_not_read(void **state)
{
    static uint8_t p[NBD_OPTION_SIZE + 100000];
    (void)state;
    pid_t pid = nbd_start(NULL);
    int fd = nbd_greeted();
    nbd_put32(nbd_put32(nbd_put64(p, NBD_OPTION_MAGIC), NBD_OPT_GO), 0xffffffff);
    nbd_send(fd, p, sizeof(p));
    assert_int_equal(nbd_option_result(fd, NBD_OPT_GO), NBD_REP_ERR_TOO_BIG);
    assert_int_equal(recv(fd, p, 1, 0), 0); /* the end, not a reset */
    close(fd);
    nbd_finish(pid);
}

static void lengths_inside_options_are_checked(void **state)
{
    static const struct {
        uint32_t option;
        uint32_t size;
        uint8_t data[24];
    } bad[] = {
        {NBD_OPT_GO, 0, {0}},
        {NBD_OPT_GO, 5, {0}},
        {NBD_OPT_GO, 6, {0, 0, 0, 1}},                                  /* name too long */
        {NBD_OPT_GO, 6, {0xff, 0xff, 0xff, 0xff}},                      /* far too long */
        {NBD_OPT_GO, 6, {0xff, 0xff, 0xff, 0xfa}},                      /* wraps round */
        {NBD_OPT_INFO, 6, {0, 0, 0, 0, 0, 1}},                          /* wishes missing */
        {NBD_OPT_INFO, 9, {0, 0, 0, 0, 0, 1, 0, 3, 0}},                 /* a byte too much */
        {NBD_OPT_LIST, 1, {0}},                                         /* takes no data */
        {NBD_OPT_STRUCTURED_REPLY, 4, {0}},                             /* takes no data */
        {NBD_OPT_SET_META_CONTEXT, 7, {0}},                             /* too short */
        {NBD_OPT_SET_META_CONTEXT, 8, {0xff, 0xff, 0xff, 0xff}},        /* name too long */
        {NBD_OPT_SET_META_CONTEXT, 8, {0, 0, 0, 0, 0xff, 0xff, 0, 1}},  /* queries missing */
        {NBD_OPT_SET_META_CONTEXT, 12, {[7] = 1, [8] = 0xff}},          /* query too long */
        {NBD_OPT_LIST_META_CONTEXT, 14, {[7] = 1, [11] = 1, [12] = 1}}, /* a byte too much */
    };
    (void)state;
    pid_t pid = nbd_start(NULL);
    int fd = nbd_greeted();
    nbd_option(fd, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    assert_int_equal(nbd_option_result(fd, NBD_OPT_STRUCTURED_REPLY), NBD_REP_ACK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        nbd_option(fd, bad[i].option, bad[i].data, bad[i].size);
        if (nbd_option_result(fd, bad[i].option) != NBD_REP_ERR_INVALID)
            fail_msg("row %zu is not refused", i);
    }
    nbd_go(fd, "");
    close(fd);
    nbd_finish(pid);
}

static void export_names_are_never_paths(void **state)
{
    static const char *const names[] = {"image",       "./image",         "/",          "../image",
                                        "/etc/passwd", "other\n\x1b[31m", "other/../x", "OTHER"};
    uint8_t p[256];
    (void)state;
    pid_t pid = nbd_start(NULL);
    int fd = nbd_greeted();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t size = nbd_put_name(p, names[i]);
        nbd_put16(p + size, 0);
        nbd_option(fd, NBD_OPT_GO, p, size + 2);
        assert_int_equal(nbd_option_result(fd, NBD_OPT_GO), NBD_REP_ERR_UNKNOWN);
    }
    size_t size = nbd_put_name(p, "x");
    p[4] = 0; /* a name of one zero byte is not the empty one */
    nbd_put16(p + size, 0);
    nbd_option(fd, NBD_OPT_GO, p, size + 2);
    assert_int_equal(nbd_option_result(fd, NBD_OPT_GO), NBD_REP_ERR_UNKNOWN);

    nbd_option(fd, NBD_OPT_EXPORT_NAME, "x\n\x1b[31m", 7);
    nbd_expect_closed(fd);
    assert_true(nbd_log_has("asked for an unknown export \"x??[31m\""));
    nbd_finish(pid);
}

static void export_name_option_works_with_and_without_padding(void **state)
{
    (void)state;
    pid_t pid = nbd_start(NULL);
    for (uint32_t flags = 1; flags <= 3; flags += 2) {
        uint8_t p[18], answer[134];
        int fd = nbd_connect();
        nbd_recv(fd, p, sizeof(p));
        nbd_put32(p, flags);
        nbd_send(fd, p, 4);
        nbd_option(fd, NBD_OPT_EXPORT_NAME, NULL, 0);
        nbd_recv(fd, answer, flags & NBD_NO_ZEROES ? 10 : sizeof(answer));
        assert_int_equal(nbd_get64(answer), NBD_IMAGE_SIZE);
        assert_true(nbd_get16(answer + 8) & NBD_FLAG_CAN_MULTI_CONN);
        nbd_expect_image(fd);
        close(fd);
    }
    nbd_finish(pid);
}

static void list_and_info_name_the_exports(void **state)
{
    uint8_t p[64];
    size_t length;
    (void)state;
    FILE *other = fopen(nbd_path("other"), "w");
    assert_non_null(other);
    fputs("12345", other);
    fclose(other);
    char named[160];
    snprintf(named, sizeof(named), "second=%s", nbd_path("other"));

    pid_t pid = nbd_start(named, NULL);
    int fd = nbd_greeted();
    nbd_option(fd, NBD_OPT_LIST, NULL, 0);
    assert_int_equal(nbd_option_reply(fd, NBD_OPT_LIST, p, 64, &length), NBD_REP_SERVER);
    assert_int_equal(length, 10);
    assert_memory_equal(p, "\0\0\0\6second", 10);
    assert_int_equal(nbd_option_reply(fd, NBD_OPT_LIST, p, 64, &length), NBD_REP_SERVER);
    assert_int_equal(length, 4);
    assert_int_equal(nbd_option_result(fd, NBD_OPT_LIST), NBD_REP_ACK);

    static const uint8_t wishes[] = {0, 3, 0, NBD_INFO_NAME, 0, NBD_INFO_BLOCK_SIZE, 0x12, 0x34};
    size_t size = nbd_put_name(p, "second");
    memcpy(p + size, wishes, sizeof(wishes));
    nbd_option(fd, NBD_OPT_INFO, p, size + sizeof(wishes));
    assert_int_equal(nbd_option_reply(fd, NBD_OPT_INFO, p, 64, &length), NBD_REP_INFO);
    assert_int_equal(nbd_get64(p + 2), 5);
    assert_int_equal(nbd_option_reply(fd, NBD_OPT_INFO, p, 64, &length), NBD_REP_INFO);
    assert_memory_equal(p, "\0\1second", 8);
    assert_int_equal(nbd_option_reply(fd, NBD_OPT_INFO, p, 64, &length), NBD_REP_INFO);
    assert_int_equal(length, 14);
    assert_int_equal(nbd_get32(p + 2), 1);
    assert_int_equal(nbd_option_result(fd, NBD_OPT_INFO), NBD_REP_ACK);
    nbd_go(fd, ""); /* after INFO, haggling went on */
    close(fd);
    nbd_finish(pid);
}

static void meta_contexts_want_structured_replies_and_their_own_export(void **state)
{
    uint8_t p[64];
    (void)state;
    char named[160];
    snprintf(named, sizeof(named), "second=%s", nbd_path("other"));
    fclose(fopen(nbd_path("other"), "w"));
    pid_t pid = nbd_start(named, NULL);
    int fd = nbd_greeted();
    size_t length, size = nbd_put_name(p, "second");
    nbd_put32(p + size, 1);
    size += 4 + nbd_put_name(p + size + 4, "base:allocation");
    nbd_option(fd, NBD_OPT_SET_META_CONTEXT, p, size);
    assert_int_equal(nbd_option_result(fd, NBD_OPT_SET_META_CONTEXT), NBD_REP_ERR_INVALID);

    nbd_option(fd, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    assert_int_equal(nbd_option_result(fd, NBD_OPT_STRUCTURED_REPLY), NBD_REP_ACK);
    nbd_option(fd, NBD_OPT_SET_META_CONTEXT, p, size);
    assert_int_equal(nbd_option_reply(fd, NBD_OPT_SET_META_CONTEXT, p, 64, &length),
                     NBD_REP_META_CONTEXT);
    assert_memory_equal(p + 4, "base:allocation", 15);
    assert_int_equal(nbd_option_result(fd, NBD_OPT_SET_META_CONTEXT), NBD_REP_ACK);

    nbd_go(fd, ""); /* the context was set for "second" */
    assert_int_equal(nbd_command(fd, 0, NBD_CMD_FLUSH, 0, 0), 0);
    nbd_request(fd, 0, NBD_CMD_BLOCK_STATUS, 1, 0, 4096);
    assert_int_equal(nbd_chunk(fd, 1, p, sizeof(p), &length), NBD_CHUNK_ERROR);
    assert_int_equal(nbd_get32(p), NBD_EINVAL);
    close(fd);
    nbd_finish(pid);
}

static void abort_is_acknowledged(void **state)
{
    (void)state;
    pid_t pid = nbd_start(NULL);
    int fd = nbd_greeted();
    nbd_option(fd, NBD_OPT_ABORT, NULL, 0);
    assert_int_equal(nbd_option_result(fd, NBD_OPT_ABORT), NBD_REP_ACK);
    nbd_expect_closed(fd);
    nbd_finish(pid);
    assert_int_equal(nbd_log_count("client"), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_nbd(unknown_handshake_flags_close_the_connection),
    cmocka_unit_test_nbd(wrong_option_magic_closes_the_connection),
    cmocka_unit_test_nbd(unknown_option_is_refused_and_haggling_goes_on),
    cmocka_unit_test_nbd(oversized_option_is_refused_and_ends),
    cmocka_unit_test_nbd(error_reply_outlives_input_that_is_not_read),
    cmocka_unit_test_nbd(lengths_inside_options_are_checked),
    cmocka_unit_test_nbd(export_names_are_never_paths),
    cmocka_unit_test_nbd(export_name_option_works_with_and_without_padding),
    cmocka_unit_test_nbd(list_and_info_name_the_exports),
    cmocka_unit_test_nbd(meta_contexts_want_structured_replies_and_their_own_export),
    cmocka_unit_test_nbd(abort_is_acknowledged),
};
TEST_MAIN(tests)
