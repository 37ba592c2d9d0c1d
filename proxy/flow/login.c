#include "proxy/flow/login.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/flow/lane.h"
#include "proxy/flow/pool.h"
#include "proxy/flow/worker.h"
#include "proxy/health/handshake.h"

static void send_step(struct lane *lane, int argc, const char **argv)
{
    char *command = NULL;
    int len = redisFormatCommandArgv(&command, argc, argv, NULL);

    if (len < 0) {
        lane_fail(lane, "out of memory");
        return;
    }
    conn_write(&lane->conn, command, (size_t)len);
    explicit_bzero(command, (size_t)len);
    free(command);
}

static bool is_needed(const struct lane *lane, enum login_step step)
{
    switch (step) {
    case LOGIN_AUTH:
        return lane->pool->key.password;
    case LOGIN_ID:
        return !lane->backend_id;
    case LOGIN_SELECT:
        return lane->pool->key.db;
    default:
        return true;
    }
}

static void send_current(struct lane *lane)
{
    const struct lane_key *key = &lane->pool->key;
    struct login *login = &lane->login;
    char db[16];

    switch (login->step) {
    case LOGIN_AUTH:
        if (key->user)
            send_step(lane, 3, (const char *[]){"AUTH", key->user, key->password});
        else
            send_step(lane, 2, (const char *[]){"AUTH", key->password});
        return;
    case LOGIN_HELLO:
        send_step(lane, 2, (const char *[]){"HELLO", key->resp == 3 ? "3" : "2"});
        return;
    case LOGIN_ID:
        send_step(lane, 2, (const char *[]){"CLIENT", "ID"});
        return;
    case LOGIN_SELECT:
        snprintf(db, sizeof(db), "%u", key->db);
        send_step(lane, 2, (const char *[]){"SELECT", db});
        return;
    case LOGIN_PING:
        handshake_nonce(login->nonce);
        send_step(lane, 2, (const char *[]){"PING", login->nonce});
        return;
    case LOGIN_DONE:
        lane_login_done(lane);
        return;
    }
}

static void go_on(struct lane *lane)
{
    do
        lane->login.step++;
    while (lane->login.step != LOGIN_DONE && !is_needed(lane, lane->login.step));
    send_current(lane);
}

void login_start(struct lane *lane)
{
    lane->login.step = LOGIN_AUTH;
    lane->backend_id = 0;
    if (is_needed(lane, LOGIN_AUTH))
        send_current(lane);
    else
        go_on(lane);
}

static void refuse(struct lane *lane, const uint8_t *bytes, size_t len)
{
    char text[256];

    handshake_refusal(text, sizeof(text), (const char *)bytes + 1, len > 3 ? len - 3 : 0, lane->pool->key.password);
    pool_refused(lane->pool, text, lane->login.step == LOGIN_AUTH ? POOL_BAD_LOGIN : POOL_BAD_KEY);
    lane_fail(lane, text);
}

static void on_auth_reply(struct lane *lane, const uint8_t *bytes, size_t len)
{
    if (bytes[0] == '-')
        refuse(lane, bytes, len);
    else
        go_on(lane);
}

/* Servers before 6.0 have no HELLO, which RESP2 can do without. */
static void on_hello_reply(struct lane *lane, const uint8_t *bytes, size_t len)
{
    bool error = bytes[0] == '-';

    if (error && reply_starts_with(bytes, len, "-NOAUTH"))
        lane->pool->noauth = true;
    else if (error && lane->pool->key.resp == 3) {
        refuse(lane, bytes, len);
        return;
    } else if (!error) {
        lane->pool->noauth = false;
        lane->backend_id = hello_keep(&lane->pool->hello, bytes, len);
    }
    go_on(lane);
}

static void on_id_reply(struct lane *lane, const uint8_t *bytes)
{
    /* Without an id CLIENT UNBLOCK and TRACKING REDIRECT cannot reach this connection; all else works. */
    if (bytes[0] == ':')
        lane->backend_id = strtoull((const char *)bytes + 1, NULL, 10);
    go_on(lane);
}

static void on_select_reply(struct lane *lane, const uint8_t *bytes, size_t len)
{
    if (bytes[0] == '-' && !reply_starts_with(bytes, len, "-NOAUTH"))
        refuse(lane, bytes, len);
    else
        go_on(lane);
}

static void on_ping_reply(struct lane *lane, const uint8_t *bytes, size_t len)
{
    char expected[32];
    int n = snprintf(expected, sizeof(expected), "$16\r\n%s\r\n", lane->login.nonce);

    if (len == (size_t)n && !memcmp(bytes, expected, len)) {
        go_on(lane);
        return;
    }
    if (reply_starts_with(bytes, len, "-NOAUTH")) {
        lane->pool->noauth = true;
        if (lane->pool->worker->settings->auth == AUTH_BACKEND)
            go_on(lane);
        else
            refuse(lane, bytes, len);
        return;
    }
    if (reply_starts_with(bytes, len, "-LOADING") || bytes[0] != '-') {
        char text[64];
        snprintf(text, sizeof(text), "%s",
                 bytes[0] == '-' ? "LOADING: backend is loading its data" : "PING came back changed");
        lane_fail(lane, text);
        return;
    }
    /* BUSY, MISCONF, NOPERM ...: the server is alive and in step; clients shall see its own words. */
    go_on(lane);
}

void login_on_reply(struct lane *lane, const uint8_t *bytes, size_t len)
{
    switch (lane->login.step) {
    case LOGIN_AUTH:
        on_auth_reply(lane, bytes, len);
        return;
    case LOGIN_HELLO:
        on_hello_reply(lane, bytes, len);
        return;
    case LOGIN_ID:
        on_id_reply(lane, bytes);
        return;
    case LOGIN_SELECT:
        on_select_reply(lane, bytes, len);
        return;
    case LOGIN_PING:
        on_ping_reply(lane, bytes, len);
        return;
    case LOGIN_DONE:
        return;
    }
}
