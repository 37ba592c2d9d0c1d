/* Output of a connection and the end of a turn: order of bytes, a slow peer, who is written and freed when. */
#include <netinet/in.h>
#include <poll.h>

#include "conn_case.h"

enum { MIB = 1 << 20, LOW_WATER = MIB / 2, PATIENCE_MS = 5000 };

static struct end *drained_first, *drained_last;
static struct end *other; /* what a callback writes to */
static bool freed;

/* Queues the bytes of the pattern from `at` on. */
static void write_some(struct end *end, uint64_t at, size_t len)
{
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = pattern(at + i);
    conn_write(&end->conn, bytes, len);
    free(bytes);
}

static void test_written_at_the_end_of_the_turn(void **state)
{
    struct end *end = end_open(LOOP_FLUSH_LAST);
    (void)state;

    for (unsigned i = 0; i < 100; i++)
        write_some(end, i * 30, 30);
    assert_int_equal(end->conn.out.len, 3000);
    assert_int_equal(peer_read(end, 0, MIB), 0);
    turn();
    assert_int_equal(peer_read(end, 0, MIB), 3000);
    assert_int_equal(end->conn.written, 3000);
    assert_null(end->conn.out.head);
    assert_int_equal(end->drains, 0); /* nobody asked */
}

/* Large pieces go straight through, but never past what is queued. */
static void test_write_through_keeps_order(void **state)
{
    struct end *end = end_open(LOOP_FLUSH_LAST);
    struct buf blocks = {0};
    uint8_t tail[] = {pattern(20310), pattern(20311)};
    (void)state;

    write_some(end, 0, 10000);
    assert_int_equal(end->conn.out.len, 0);
    assert_int_equal(peer_read(end, 0, MIB), 10000);
    write_some(end, 10000, 10);
    write_some(end, 10010, 10000);
    write_some(end, 20010, 300);
    buf_append(&loop.pool, &blocks, tail, sizeof tail);
    conn_write_buf(&end->conn, &blocks);
    assert_null(blocks.head);
    assert_int_equal(peer_read(end, 0, MIB), 0);
    turn();
    assert_int_equal(peer_read(end, 10000, MIB), 10312);
    assert_int_equal(end->conn.written, 20312);
}

static void test_slow_peer(void **state)
{
    struct end *end = end_open(LOOP_FLUSH_LAST);
    size_t got, n;
    (void)state;

    write_some(end, 0, MIB);
    assert_in_range(end->conn.out.len, LOW_WATER + 1, MIB - 1); /* a part went straight through */
    write_some(end, MIB, 10);
    write_some(end, MIB + 10, MIB);
    conn_notify_drained(&end->conn, LOW_WATER);
    for (got = 0; got < 2 * MIB + 10; got += n) {
        assert_int_equal(end->drains, end->conn.out.len <= LOW_WATER);
        n = peer_read(end, got, 30000);
        assert_int_equal(end->conn.written, 2 * MIB + 10 - end->conn.out.len);
        turn();
        if (!n)
            break;
    }
    assert_int_equal(got, 2 * MIB + 10);
    assert_int_equal(end->drains, 1);
    assert_int_equal(end->conn.out.len, 0);
    assert_false(end->conn.armed_write);
    write_some(end, 0, 10);
    turn();
    assert_int_equal(end->drains, 1); /* told once */
    assert_int_equal(peer_read(end, 0, MIB), 10);
}

/* Input of a connection with a full output is still read, and after a pause, too. */
static void test_input_beside_a_full_output(void **state)
{
    struct end *end = end_open(LOOP_FLUSH_LAST);
    (void)state;

    write_some(end, 0, MIB);
    turn();
    peer_send(end, 0, 5);
    turn();
    conn_pause(&end->conn);
    for (size_t sent = 5; sent < 60005; sent += 500) {
        assert_int_equal(peer_send(end, sent, 500), 500);
        turn();
    }
    assert_int_equal(end->taken, 5);
    conn_resume(&end->conn);
    for (unsigned i = 0; i < 100; i++)
        turn();
    assert_int_equal(end->taken, 60005);
    for (size_t got = 0, n; got < MIB; got += n) {
        n = peer_read(end, got, MIB);
        assert_int_not_equal(n, 0);
        turn();
    }
    peer_send(end, 60005, 5);
    turn();
    assert_int_equal(end->taken, 60010);
}

static void then_close(struct end *end)
{
    conn_close(&end->conn);
}

static void test_close_when_drained(void **state)
{
    struct end *end = end_open(LOOP_FLUSH_LAST);
    (void)state;

    end->then = then_close;
    write_some(end, 0, 10);
    conn_notify_drained(&end->conn, 0);
    turn();
    assert_int_equal(end->drains, 1);
    assert_false(conn_is_open(&end->conn));
    assert_int_equal(peer_read(end, 0, MIB), 10);
}

static void test_peer_is_gone(void **state)
{
    struct end *end = end_open(LOOP_FLUSH_LAST);
    (void)state;

    end->then = then_close;
    assert_false(conn_peer_is_gone(&end->conn));
    close(end->peer);
    end->peer = -1;
    assert_true(conn_peer_is_gone(&end->conn));
    write_some(end, 0, 10000);
    write_some(end, 0, 10);
    assert_int_equal(end->losses, 0); /* never from within conn_write() */
    turn();
    turn();
    assert_int_equal(end->losses + end->eofs, 1);
    assert_false(conn_is_open(&end->conn));
}

static void test_closed_drops_bytes(void **state)
{
    struct buf blocks = {0};
    struct end *end = end_new(LOOP_FLUSH_LAST);
    (void)state;

    write_some(end, 0, 10);
    buf_append(&loop.pool, &blocks, "x", 1);
    conn_write_buf(&end->conn, &blocks);
    conn_resume(&end->conn);
    conn_close(&end->conn);
    turn();
    assert_null(blocks.head);
    assert_null(end->conn.out.head);
    assert_int_equal(end->inputs + end->losses, 0);
}

/* Its owner may be freed: the loop must not know it any more. */
static void test_closed_is_in_no_list(void **state)
{
    struct end *end = end_open(LOOP_FLUSH_LAST);
    (void)state;

    conn_pause(&end->conn);
    conn_resume(&end->conn);
    write_some(end, 0, 10);
    assert_int_equal(loop.ready_count, 1);
    assert_ptr_equal(TAILQ_FIRST(&loop.dirty[LOOP_FLUSH_LAST]), &end->conn);
    conn_close(&end->conn);
    assert_int_equal(loop.ready_count, 0);
    assert_true(TAILQ_EMPTY(&loop.ready) && TAILQ_EMPTY(&loop.dirty[LOOP_FLUSH_LAST]));
}

static void note_drained(struct end *end)
{
    if (!drained_first)
        drained_first = end;
    drained_last = end;
}

static void test_order_of_flushing(void **state)
{
    struct end *client = end_open(LOOP_FLUSH_LAST), *backend = end_open(LOOP_FLUSH_FIRST);
    (void)state;

    drained_first = NULL;
    client->then = backend->then = note_drained;
    conn_notify_drained(&client->conn, 0);
    conn_notify_drained(&backend->conn, 0);
    write_some(client, 0, 10);
    write_some(backend, 0, 10);
    turn();
    assert_ptr_equal(drained_first, backend);
    assert_ptr_equal(drained_last, client);
}

static void then_write_to_other(struct end *end)
{
    (void)end;
    write_some(other, 0, 10);
}

/* What a flush makes others write does not wait for an event, which may never come. */
static void test_written_within_the_flush(void **state)
{
    enum loop_order orders[] = {LOOP_FLUSH_FIRST, LOOP_FLUSH_LAST};
    (void)state;

    for (int i = 0; i < 4; i++) {
        struct end *a = end_open(orders[i & 1]), *b = end_open(orders[i >> 1]);
        a->then = then_write_to_other;
        other = b;
        write_some(a, 0, 10);
        conn_notify_drained(&a->conn, 0);
        turn();
        assert_int_equal(a->drains, 1);
        assert_int_equal(peer_read(b, 0, MIB), 10);
    }
}

static void free_end(struct reapable *reapable)
{
    struct end *end = OWNER_OF(reapable, struct end, reapable);

    close(end->peer);
    free(end);
    freed = true;
}

static void free_later(struct reapable *reapable)
{
    reapable->free = free_end;
    loop_reap(&loop, reapable); /* what is freed may free more */
}

static size_t close_and_reap(struct end *end, size_t len)
{
    conn_close(&end->conn);
    end->reapable.free = free_later;
    loop_reap(&loop, &end->reapable);
    return len;
}

static void check_not_freed(struct end *end)
{
    (void)end;
    assert_false(freed);
}

/* The owner stays until the last flush of the turn is over: others may still hold it. */
static void test_reaped_at_the_end_of_the_turn(void **state)
{
    struct end *end = malloc(sizeof *end), *witness = end_open(LOOP_FLUSH_LAST);
    (void)state;

    assert_non_null(end);
    freed = false;
    end_adopt(end, LOOP_FLUSH_LAST);
    end->take = close_and_reap;
    witness->then = check_not_freed;
    write_some(witness, 0, 10);
    conn_notify_drained(&witness->conn, 0);
    peer_send(end, 0, 10);
    turn();
    assert_int_equal(witness->drains, 1);
    assert_true(freed);
}

/* --- connecting, over TCP --- */

static int listening(struct sockaddr_in *address)
{
    socklen_t len = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)address, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, &len), 0);
    return fd;
}

static void wait_readable(int fd)
{
    struct pollfd asked = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&asked, 1, PATIENCE_MS), 1);
}

static void turn_until(const unsigned *what)
{
    for (unsigned ms = 0; !*what && ms < PATIENCE_MS; ms++) {
        turn();
        poll(NULL, 0, *what ? 0 : 1);
    }
    assert_int_equal(*what, 1);
}

static void test_connect(void **state)
{
    struct sockaddr_in address;
    int listener = listening(&address);
    struct end *end = end_new(LOOP_FLUSH_FIRST);
    char byte;
    (void)state;

    assert_true(conn_connect(&end->conn, (struct sockaddr *)&address, sizeof address));
    assert_int_equal(end->connects, 0);
    write_some(end, 0, 10000); /* waits for the connection, however large */
    assert_int_equal(end->conn.out.len, 10000);
    turn_until(&end->connects);
    end->peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(end->peer >= 0);
    for (size_t got = 0; got < 10000; got += peer_read(end, got, MIB))
        wait_readable(end->peer);
    conn_close(&end->conn);
    wait_readable(end->peer);
    assert_int_equal(recv(end->peer, &byte, 1, 0), 0);
    close(listener);
}

static void test_connect_refused(void **state)
{
    struct sockaddr_in address;
    struct end *end = end_new(LOOP_FLUSH_FIRST);
    (void)state;

    close(listening(&address));
    end->then = then_close;
    assert_true(conn_connect(&end->conn, (struct sockaddr *)&address, sizeof address));
    write_some(end, 0, 10);
    assert_int_equal(end->losses, 0);
    turn_until(&end->losses);
    assert_int_equal(end->connects, 0);
    assert_false(conn_is_open(&end->conn));
    assert_null(end->conn.out.head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        conn_test(test_written_at_the_end_of_the_turn),
        conn_test(test_write_through_keeps_order),
        conn_test(test_slow_peer),
        conn_test(test_input_beside_a_full_output),
        conn_test(test_close_when_drained),
        conn_test(test_peer_is_gone),
        conn_test(test_closed_drops_bytes),
        conn_test(test_closed_is_in_no_list),
        conn_test(test_order_of_flushing),
        conn_test(test_written_within_the_flush),
        conn_test(test_reaped_at_the_end_of_the_turn),
        conn_test(test_connect),
        conn_test(test_connect_refused),
    };
    return cmocka_run_group_tests_name("conn_out", tests, NULL, NULL);
}
