/* The look at a backend's first byte, when that byte comes between the look and OpenSSL's own reading. */
#include "conn_tls_case.h"

static bool is_late; /* the next look that would find something finds nothing yet */

/* Stands before libc's for the code under test; OpenSSL reads with read(2). */
ssize_t recv(int fd, void *bytes, size_t len, int flags)
{
    ssize_t n = recvfrom(fd, bytes, len, flags, NULL, NULL);

    if (n <= 0 || !(flags & MSG_PEEK) || !is_late)
        return n;
    is_late = false;
    errno = EAGAIN;
    return -1;
}

static void test_what_came_behind_the_first_byte_is_not_taken_for_it(void **state)
{
    (void)state;
    server_init(&(struct server_recipe){.identity = &good});
    struct end *end = connect_end(end_new(LOOP_FLUSH_FIRST), context);
    is_late = true;
    until_in_pieces(ALL, 1, end->connects || end->reason[0]);
    assert_false(is_late);
    assert_string_equal(end->reason, "");
    assert_int_equal(end->connects, 1);
    end_close(end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        over_tls(test_what_came_behind_the_first_byte_is_not_taken_for_it),
    };

    return cmocka_run_group_tests(tests, start_certs, finish_certs);
}
