/*
 * What nbd-server answers to requests, good and bad: the protocol's error reply or a closed connection with one line in
 * the log, with other clients unharmed and the image intact (see nbd_finish()). The handshake is in
 * test_nbd_handshake.c, the program and its limits in test_nbd_server.c.
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L
#include "tests/nbd_client.h"

#include <sys/stat.h>
#include <unistd.h>

static void wrong_request_magic_closes_the_connection(void **state)
{
    uint8_t p[NBD_REQUEST_SIZE] = {0};
    (void)state;
    pid_t pid = nbd_start(NULL);
    int fd = nbd_ready();
    nbd_send(fd, p, sizeof(p));
    nbd_expect_closed(fd);
    assert_true(nbd_log_has("wrong magic number instead of a request"));
    nbd_finish(pid);
    assert_int_equal(nbd_log_count("client 2"), 1);
}

static void unknown_commands_and_flags_are_refused(void **state)
{
    char data[512] = {0};
    (void)state;
    pid_t pid = nbd_start(NULL);
    int fd = nbd_ready();
    assert_int_equal(nbd_command(fd, 0, 8, 0, 512), NBD_EINVAL);
    assert_int_equal(nbd_command(fd, 0, 0xffff, 0, 512), NBD_EINVAL);
    assert_int_equal(nbd_command(fd, 0x8000, NBD_CMD_READ, 0, 512), NBD_EINVAL);
    assert_int_equal(nbd_command(fd, NBD_CMD_FLAG_NO_HOLE, NBD_CMD_TRIM, 0, 512), NBD_EINVAL);
    assert_int_equal(nbd_write(fd, NBD_CMD_FLAG_FAST_ZERO, 0, data, 512), NBD_EINVAL);
    /* these need structured replies */
    assert_int_equal(nbd_command(fd, NBD_CMD_FLAG_DF, NBD_CMD_READ, 0, 512), NBD_EINVAL);
    assert_int_equal(nbd_command(fd, 0, NBD_CMD_BLOCK_STATUS, 0, 512), NBD_EINVAL);
    nbd_expect_image(fd);
    close(fd);
    nbd_finish(pid);
}

static void ranges_beyond_the_end_are_refused(void **state)
{
    static const struct {
        uint64_t offset;
        uint32_t length;
    } bad[] = {
        {NBD_IMAGE_SIZE, 1},     {NBD_IMAGE_SIZE - 511, 512},  {NBD_IMAGE_SIZE * 4ull, 512},
        {UINT64_MAX, 1},         {UINT64_MAX - 510, 512},      {INT64_MAX, 512},
        {0, NBD_IMAGE_SIZE + 1}, {UINT64_MAX - 0xffff, 65536},
    };
    static char data[NBD_IMAGE_SIZE + 1];
    (void)state;
    pid_t pid = nbd_start(NULL);
    int fd = nbd_ready();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t offset = bad[i].offset;
        uint32_t length = bad[i].length;
        assert_int_equal(nbd_command(fd, 0, NBD_CMD_READ, offset, length), NBD_EINVAL);
        assert_int_equal(nbd_command(fd, 0, NBD_CMD_TRIM, offset, length), NBD_EINVAL);
        assert_int_equal(nbd_command(fd, 0, NBD_CMD_CACHE, offset, length), NBD_EINVAL);
        assert_int_equal(nbd_command(fd, 0, NBD_CMD_WRITE_ZEROES, offset, length), NBD_ENOSPC);
        assert_int_equal(nbd_write(fd, 0, offset, data, length), NBD_ENOSPC);
    }
    assert_int_equal(nbd_command(fd, 0, NBD_CMD_READ, 0, 0), NBD_EINVAL);
    assert_int_equal(nbd_command(fd, 0, NBD_CMD_WRITE_ZEROES, 0, 0), NBD_EINVAL);
    assert_int_equal(nbd_command(fd, 0, NBD_CMD_FLUSH, 0, 512), NBD_EINVAL);
    nbd_expect_image(fd);
    close(fd);
    nbd_finish(pid);
}

static void oversized_read_is_refused_and_oversized_write_ends(void **state)
{
    (void)state;
    pid_t pid = nbd_start(NULL);
    int fd = nbd_ready();
    assert_int_equal(nbd_command(fd, 0, NBD_CMD_READ, 0, 0xffffffff), NBD_EINVAL);
    nbd_expect_image(fd);
    nbd_request(fd, 0, NBD_CMD_WRITE, 1, 0, 0xffffffff);
    nbd_expect_closed(fd);
    assert_true(nbd_log_has("wrote 4294967295 bytes at once"));
    nbd_finish(pid);
}

static void writes_zeroes_and_trims_reach_the_image(void **state)
{
    (void)state;
    pid_t pid = nbd_start(NULL);
    int fd = nbd_ready();
    memset(nbd_expected + 1000, 'x', 100000);
    assert_int_equal(nbd_write(fd, 0, 1000, nbd_expected + 1000, 100000), 0);
    memset(nbd_expected + 300001, 'y', 3);
    assert_int_equal(nbd_write(fd, NBD_CMD_FLAG_FUA, 300001, nbd_expected + 300001, 3), 0);
    memset(nbd_expected + 400001, 0, 50000);
    assert_int_equal(nbd_command(fd, 0, NBD_CMD_WRITE_ZEROES, 400001, 50000), 0);
    memset(nbd_expected + 524288, 0, 65536);
    assert_int_equal(nbd_command(fd, NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FUA, NBD_CMD_WRITE_ZEROES,
                                 524288, 65536),
                     0);
    uint32_t err = nbd_command(fd, NBD_CMD_FLAG_FAST_ZERO, NBD_CMD_WRITE_ZEROES, 655360, 65536);
    assert_true(err == 0 || err == NBD_ENOTSUP);
    if (!err)
        memset(nbd_expected + 655360, 0, 65536);
    assert_int_equal(nbd_command(fd, NBD_CMD_FLAG_FUA, NBD_CMD_TRIM, 786432, 4096), 0);
    assert_int_equal(nbd_read(fd, 786432, nbd_expected + 786432, 4096), 0); /* not defined */
    assert_int_equal(nbd_command(fd, 0, NBD_CMD_CACHE, 0, NBD_IMAGE_SIZE), 0);
    assert_int_equal(nbd_command(fd, 0, NBD_CMD_FLUSH, 0, 0), 0);
    nbd_expect_image(fd);
    nbd_request(fd, 0, NBD_CMD_DISC, 0, 0, 0);
    nbd_expect_closed(fd);
    nbd_finish(pid);
    assert_int_equal(nbd_log_count("client"), 0);
}

static void read_only_export_refuses_writes(void **state)
{
    char data[4096] = {0};
    (void)state;
    pid_t pid = nbd_start("--read-only", NULL);
    int fd = nbd_greeted();
    uint16_t flags = nbd_go(fd, "");
    assert_true(flags & NBD_FLAG_READ_ONLY);
    assert_false(flags & (NBD_FLAG_SEND_TRIM | NBD_FLAG_SEND_WRITE_ZEROES));
    assert_int_equal(nbd_write(fd, 0, 0, data, sizeof(data)), NBD_EPERM);
    assert_int_equal(nbd_command(fd, 0, NBD_CMD_TRIM, 0, 4096), NBD_EPERM);
    assert_int_equal(nbd_command(fd, 0, NBD_CMD_WRITE_ZEROES, 0, 4096), NBD_EPERM);
    assert_int_equal(nbd_command(fd, 0, NBD_CMD_FLUSH, 0, 0), 0);
    nbd_expect_image(fd);
    close(fd);
    nbd_finish(pid);
}

static void structured_read_is_one_chunk_and_errors_are_chunks(void **state)
{
    static uint8_t p[8 + 8192];
    size_t length;
    (void)state;
    pid_t pid = nbd_start(NULL);
    int fd = nbd_ready_structured(false);
    nbd_request(fd, NBD_CMD_FLAG_DF, NBD_CMD_READ, 5, 12345, 8192);
    assert_int_equal(nbd_chunk(fd, 5, p, sizeof(p), &length), NBD_CHUNK_OFFSET_DATA);
    assert_int_equal(length, sizeof(p));
    assert_int_equal(nbd_get64(p), 12345);
    assert_memory_equal(p + 8, nbd_expected + 12345, 8192);
    nbd_request(fd, 0, NBD_CMD_READ, 6, NBD_IMAGE_SIZE, 1);
    assert_int_equal(nbd_chunk(fd, 6, p, sizeof(p), &length), NBD_CHUNK_ERROR);
    assert_int_equal(length, 6);
    assert_int_equal(nbd_get32(p), NBD_EINVAL);
    close(fd);
    nbd_finish(pid);
}

static bool has_holes(void)
{
    struct stat image;
    return stat(nbd_path("image"), &image) == 0 && image.st_blocks * 512 < NBD_IMAGE_SIZE;
}

static void block_status_shows_holes(void **state)
{
    enum { HOLE = 262144, EDGE = 65536 };
    uint8_t p[4 + 16 * NBD_EXTENT_SIZE];
    size_t length;
    (void)state;
    pid_t pid = nbd_start(NULL);
    int fd = nbd_ready_structured(true);
    memset(nbd_expected + HOLE, 0, HOLE);
    assert_int_equal(nbd_command(fd, 0, NBD_CMD_WRITE_ZEROES, HOLE, HOLE), 0);

    nbd_request(fd, 0, NBD_CMD_BLOCK_STATUS, 1, HOLE - EDGE, HOLE + 2 * EDGE);
    assert_int_equal(nbd_chunk(fd, 1, p, sizeof(p), &length), NBD_CHUNK_BLOCK_STATUS);
    if (!has_holes())
        fixture_skip("the file system makes no holes");
    assert_int_equal(length, 4 + 3 * NBD_EXTENT_SIZE);
    static const uint32_t want[] = {EDGE, 0, HOLE, NBD_STATE_HOLE | NBD_STATE_ZERO, EDGE, 0};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(nbd_get32(p + 4 + 4 * i), want[i]);

    nbd_request(fd, NBD_CMD_FLAG_REQ_ONE, NBD_CMD_BLOCK_STATUS, 2, HOLE - EDGE, HOLE);
    assert_int_equal(nbd_chunk(fd, 2, p, sizeof(p), &length), NBD_CHUNK_BLOCK_STATUS);
    assert_int_equal(length, 4 + NBD_EXTENT_SIZE);
    assert_int_equal(nbd_get32(p + 4), EDGE);
    nbd_request(fd, 0, NBD_CMD_BLOCK_STATUS, 3, NBD_IMAGE_SIZE, 1);
    assert_int_equal(nbd_chunk(fd, 3, p, sizeof(p), &length), NBD_CHUNK_ERROR);
    close(fd);
    nbd_finish(pid);
}

static void requests_in_one_segment_are_all_answered(void **state)
{
    enum { COUNT = 300 };
    static uint8_t p[COUNT * NBD_REQUEST_SIZE];
    bool seen[COUNT] = {false};
    (void)state;
    pid_t pid = nbd_start("--max-requests=7", NULL);
    int fd = nbd_ready();
    for (uint64_t i = 0; i < COUNT; i++) {
        uint8_t *q = p + i * NBD_REQUEST_SIZE;
        q = nbd_put16(nbd_put16(nbd_put32(q, NBD_REQUEST_MAGIC), 0), NBD_CMD_READ);
        nbd_put32(nbd_put64(nbd_put64(q, i), i * 512), 512);
    }
    nbd_send(fd, p, sizeof(p));
    for (int i = 0; i < COUNT; i++) {
        uint8_t head[NBD_SIMPLE_REPLY_SIZE], data[512];
        nbd_recv(fd, head, sizeof(head));
        uint64_t cookie = nbd_get64(head + 8);
        assert_int_equal(nbd_get32(head + 4), 0);
        assert_true(cookie < COUNT && !seen[cookie]);
        seen[cookie] = true;
        nbd_recv(fd, data, sizeof(data));
        assert_memory_equal(data, nbd_expected + cookie * 512, 512);
    }
    close(fd);
    nbd_finish(pid);
}

static void requests_of_all_sizes_share_one_bound(void **state)
{
    enum { COUNT = 400 };
    static const uint32_t sizes[] = {512, 40000, 1, 65536, 8192, 500000, 24576, 65535, 4096};
    static uint8_t p[COUNT * NBD_REQUEST_SIZE], data[500000];
    uint32_t length[COUNT];
    (void)state;
    pid_t pid = nbd_start("--max-bytes=64K", "--max-requests=9", NULL);
    int fd = nbd_ready();
    for (uint32_t i = 0; i < COUNT; i++) {
        uint8_t *q = p + i * NBD_REQUEST_SIZE;
        length[i] = sizes[(i + i / 50) % 9];
        q = nbd_put16(nbd_put16(nbd_put32(q, NBD_REQUEST_MAGIC), 0), NBD_CMD_READ);
        nbd_put32(nbd_put64(nbd_put64(q, i), i), length[i]);
    }
    nbd_send(fd, p, sizeof(p));
    for (int i = 0; i < COUNT; i++) {
        uint8_t head[NBD_SIMPLE_REPLY_SIZE];
        nbd_recv(fd, head, sizeof(head));
        uint64_t cookie = nbd_get64(head + 8);
        assert_int_equal(nbd_get32(head + 4), 0);
        assert_true(cookie < COUNT && length[cookie]);
        nbd_recv(fd, data, length[cookie]);
        assert_memory_equal(data, nbd_expected + cookie, length[cookie]);
        length[cookie] = 0;
    }
    close(fd);
    nbd_finish(pid);
}

static void requests_in_single_bytes_are_understood(void **state)
{
    uint8_t p[NBD_REQUEST_SIZE + 5];
    (void)state;
    pid_t pid = nbd_start(NULL);
    int fd = nbd_ready();
    nbd_put16(nbd_put16(nbd_put32(p, NBD_REQUEST_MAGIC), 0), NBD_CMD_WRITE);
    nbd_put32(nbd_put64(nbd_put64(p + 8, 99), 77), 5);
    memcpy(p + NBD_REQUEST_SIZE, "hello", 5);
    memcpy(nbd_expected + 77, "hello", 5);
    for (size_t i = 0; i < sizeof(p); i++) {
        nbd_send(fd, p + i, 1);
        fixture_sleep_ms(1);
    }
    assert_int_equal(nbd_reply(fd, 99), 0);
    close(fd);
    nbd_finish(pid);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_nbd(wrong_request_magic_closes_the_connection),
    cmocka_unit_test_nbd(unknown_commands_and_flags_are_refused),
    cmocka_unit_test_nbd(ranges_beyond_the_end_are_refused),
    cmocka_unit_test_nbd(oversized_read_is_refused_and_oversized_write_ends),
    cmocka_unit_test_nbd(writes_zeroes_and_trims_reach_the_image),
    cmocka_unit_test_nbd(read_only_export_refuses_writes),
    cmocka_unit_test_nbd(structured_read_is_one_chunk_and_errors_are_chunks),
    cmocka_unit_test_nbd(block_status_shows_holes),
    cmocka_unit_test_nbd(requests_in_one_segment_are_all_answered),
    cmocka_unit_test_nbd(requests_of_all_sizes_share_one_bound),
    cmocka_unit_test_nbd(requests_in_single_bytes_are_understood),
};
TEST_MAIN(tests)
