/*
 * Who a client is: AUTH, HELLO and SELECT decide which pool it belongs to (Redis documentation, AUTH and HELLO).
 *
 *   auth = none       clients need no login; AUTH is answered as a server without a password would
 *   auth = password   our own password or users; the backend never sees what the client sent
 *   auth = backend    the backend decides: a login on a connection of its own, then lanes per user
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/flow/client.h"
#include "proxy/flow/digest.h"

enum { PROVEN_FOR_MS = 10000 }; /* how long the backend's word on a login is taken as still true */

struct pool *auth_first_pool(struct worker *worker)
{
    const struct redis_url *url = &worker->backend->url;
    struct lane_key key = {.backend = worker->backend, .db = url->db, .resp = 2};

    if (worker->settings->auth != AUTH_BACKEND) {
        key.user = url->user;
        key.password = url->password;
    }
    return pool_get(worker, &key);
}

bool auth_is_due(struct client *client, const struct command *row, bool *wait)
{
    struct pool *pool = client->pool;

    if (client->authenticated || (row->flags & COMMAND_NO_AUTH))
        return false;
    if (client->worker->settings->auth == AUTH_PASSWORD)
        return true;
    if (pool->proven) {
        client->has_outcome = false;
        client->authenticated = !pool->noauth;
        return pool->noauth;
    }
    if (client->has_outcome) {
        client->has_outcome = false;
        return false; /* the backend is away: the command finds that out by itself */
    }
    pool_wait(pool, &client->pool_waiter, false);
    client_shut(client, GATE_POOL);
    *wait = true;
    return false;
}

void auth_note(struct worker *worker, const struct command *row)
{
    if (row->id == CMD_ACL_SETUSER || row->id == CMD_ACL_DELUSER || row->id == CMD_ACL_LOAD)
        atomic_fetch_add(&worker->crew->acl_changes, 1);
}

/* --- our own users --- */

static bool login_is_right(const struct settings *settings, const char *user, size_t user_len, const uint8_t *password,
                           size_t len)
{
    uint8_t digest[DIGEST_SHA256_LEN];
    bool right = false;

    /* Every user is compared, whatever the name, so that the time taken says nothing. */
    digest_sha256(password, len, digest);
    for (size_t i = 0; i < settings->n_users; i++) {
        const struct user *known = &settings->users[i];
        bool same_name = strlen(known->name) == user_len && !CRYPTO_memcmp(known->name, user, user_len);
        bool same_password = !CRYPTO_memcmp(known->digest, digest, sizeof(digest));
        right |= same_name && same_password;
    }
    OPENSSL_cleanse(digest, sizeof(digest));
    return right;
}

struct login_words {
    const uint8_t *user, *password;
    size_t user_len, password_len;
};

static bool is_default(const struct login_words *words)
{
    return words->user_len == 7 && !memcmp(words->user, "default", 7);
}

/* auth = none and password; NULL when the login is right, else the error. */
static const char *check_here(struct client *client, const struct login_words *words)
{
    const struct settings *settings = client->worker->settings;

    if (settings->auth == AUTH_NONE)
        return is_default(words) ? NULL : reply_text_wrongpass;
    return login_is_right(settings, (const char *)words->user, words->user_len, words->password, words->password_len)
               ? NULL
               : reply_text_wrongpass;
}

char *copy_bytes(const uint8_t *bytes, size_t len)
{
    char *text = malloc(len + 1);

    if (text) {
        memcpy(text, bytes, len);
        text[len] = 0;
    }
    return text;
}

static void set_user(struct client *client, const struct login_words *words)
{
    struct client_names *names = client_names(client);

    free(names->user);
    names->user = is_default(words) ? NULL : copy_bytes(words->user, words->user_len);
    client->authenticated = true;
}

/* --- waiting for the backend's word --- */

static bool is_still_true(struct worker *worker, const struct pool *pool)
{
    return pool->proven_acl == atomic_load(&worker->crew->acl_changes) &&
           loop_now_ms(&worker->loop) - pool->proven_ms < PROVEN_FOR_MS;
}

/* The pool of `key` once the backend has accepted it. NULL: wait, or the answer was given (*used). */
static struct pool *settle(struct client *client, const struct call *call, const struct lane_key *key, bool fresh,
                           size_t *used)
{
    struct worker *worker = client->worker;
    struct pool *pool = pool_get(worker, key);
    char text[300];

    *used = 0;
    if (client->has_outcome) {
        client->has_outcome = false;
        if (client->outcome == POOL_GRANTED)
            return pool;
        *used = call->len;
        if (client->outcome != POOL_REFUSED) {
            client_answer_error(client, reply_text_rgunavail, &worker->counters.unavailable);
            return NULL;
        }
        snprintf(text, sizeof(text), "%s", pool->refusal);
        client_answer_error(client, text, &worker->counters.replied);
        return NULL;
    }
    if (pool->proven && (!fresh || is_still_true(worker, pool)))
        return pool;
    pool->proven = false;
    pool_wait(pool, &client->pool_waiter, false);
    client_shut(client, GATE_POOL);
    return NULL;
}

static void free_words(struct lane_key *key)
{
    free(key->user);
    if (key->password)
        explicit_bzero(key->password, strlen(key->password));
    free(key->password);
}

/* A login that the backend decides, with the RESP version wanted. */
static struct pool *settle_login(struct client *client, const struct call *call, const struct login_words *words,
                                 bool user_given, unsigned resp, size_t *used)
{
    struct lane_key key = client->pool->key;
    struct pool *pool;

    if (memchr(words->password, 0, words->password_len) || memchr(words->user, 0, words->user_len)) {
        client_answer_error(client, reply_text_wrongpass, &client->worker->counters.replied);
        *used = call->len;
        return NULL;
    }
    key.resp = resp;
    key.user = user_given ? copy_bytes(words->user, words->user_len) : NULL;
    key.password = copy_bytes(words->password, words->password_len);
    pool = settle(client, call, &key, true, used);
    free_words(&key);
    return pool;
}

/* --- the commands --- */

static size_t answer(struct client *client, const struct call *call, const char *error)
{
    if (error)
        client_answer_error(client, error, &client->worker->counters.replied);
    else
        client_answer_ok(client);
    return call->len;
}

size_t auth_command(struct client *client, const struct call *call)
{
    struct login_words words = {.user = (const uint8_t *)"default", .user_len = 7};
    enum auth_mode mode = client->worker->settings->auth;
    bool user_given = call->argc == 3;
    struct pool *pool;
    size_t used = 0;

    if (call->argc > 3)
        return answer(client, call, "ERR syntax error");
    if (user_given)
        call_arg(call, 1, &words.user, &words.user_len);
    call_arg(call, user_given ? 2 : 1, &words.password, &words.password_len);
    if (mode == AUTH_NONE && !user_given)
        return answer(client, call, reply_text_auth_no_password);
    if (mode != AUTH_BACKEND) {
        const char *error = check_here(client, &words);
        if (!error)
            set_user(client, &words);
        return answer(client, call, error);
    }
    pool = settle_login(client, call, &words, user_given, client->pool->key.resp, &used);
    if (!pool)
        return used;
    client_move_to_pool(client, pool);
    set_user(client, &words);
    return answer(client, call, NULL);
}

size_t auth_select(struct client *client, const struct call *call)
{
    struct lane_key key = client->pool->key;
    struct pool *pool;
    int64_t db;
    size_t used = 0;

    if (!arg_number(call->sub, call->sub_len, &db))
        return answer(client, call, reply_text_not_integer);
    if (db < 0 || db > INT32_MAX)
        return answer(client, call, db < INT32_MIN || db > INT32_MAX ? reply_text_not_int32 : reply_text_bad_db);
    if ((unsigned)db == key.db)
        return answer(client, call, NULL);
    lane_key_select(&key, (unsigned)db);
    pool = settle(client, call, &key, false, &used);
    if (!pool)
        return used;
    client_move_to_pool(client, pool);
    return answer(client, call, NULL);
}

/* HELLO [protover [AUTH user password] [SETNAME name]] */
struct hello_call {
    unsigned resp;
    bool has_login;
    struct login_words login;
    const uint8_t *name;
    size_t name_len;
};

/* NULL, or the error text (maybe in `text`). */
static const char *read_hello(const struct client *client, const struct call *call, struct hello_call *hello,
                              char *text, size_t text_len)
{
    const uint8_t *arg;
    size_t len;
    int64_t version;

    hello->resp = client->pool->key.resp;
    if (call->argc == 1)
        return NULL;
    if (!arg_number(call->sub, call->sub_len, &version))
        return reply_text_bad_protover;
    if (version != 2 && version != 3)
        return reply_text_noproto;
    hello->resp = (unsigned)version;
    for (uint32_t i = 2; call_arg(call, i, &arg, &len);) {
        uint32_t more = call->argc - 1 - i;
        if (arg_is(arg, len, "AUTH") && more >= 2) {
            hello->has_login = true;
            call_arg(call, i + 1, &hello->login.user, &hello->login.user_len);
            call_arg(call, i + 2, &hello->login.password, &hello->login.password_len);
            i += 3;
        } else if (arg_is(arg, len, "SETNAME") && more >= 1) {
            call_arg(call, i + 1, &hello->name, &hello->name_len);
            i += 2;
        } else {
            snprintf(text, text_len, "ERR Syntax error in HELLO option '%.*s'", (int)(len < 128 ? len : 128),
                     (const char *)arg);
            return text;
        }
    }
    return NULL;
}

static size_t finish_hello(struct client *client, const struct call *call, const struct hello_call *hello,
                           struct pool *pool)
{
    size_t cap = pool->hello.len + 64;
    uint8_t *bytes = malloc(cap);
    struct reply_writer w = {.bytes = bytes, .cap = bytes ? cap : 0};

    if (hello->name) {
        struct client_names *names = client_names(client);
        free(names->name);
        names->name = hello->name_len ? copy_bytes(hello->name, hello->name_len) : NULL;
    }
    client_move_to_pool(client, pool);
    if (!pool->hello.reply) { /* a server without HELLO: its own words */
        free(bytes);
        return dispatch_plain(client, call);
    }
    hello_write(&pool->hello, &w, client->id);
    client_answer(client, &w, &client->worker->counters.replied);
    free(bytes);
    return call->len;
}

size_t auth_hello(struct client *client, const struct call *call)
{
    struct hello_call hello = {0};
    enum auth_mode mode = client->worker->settings->auth;
    struct pool *pool;
    char text[192];
    size_t used = 0;
    const char *error = read_hello(client, call, &hello, text, sizeof(text));

    if (!error && hello.has_login && mode != AUTH_BACKEND)
        error = check_here(client, &hello.login);
    if (!error && !client->authenticated && !hello.has_login && mode == AUTH_PASSWORD)
        error = reply_text_noauth_hello;
    if (!error && hello.name && !client_name_is_valid(hello.name, hello.name_len))
        error = reply_text_bad_client_name;
    if (error)
        return answer(client, call, error);
    if (hello.has_login && mode == AUTH_BACKEND) {
        pool = settle_login(client, call, &hello.login, true, hello.resp, &used);
    } else {
        struct lane_key key = client->pool->key;
        key.resp = hello.resp;
        pool = settle(client, call, &key, false, &used);
    }
    if (!pool)
        return used;
    if (pool->noauth)
        return answer(client, call, reply_text_noauth_hello);
    if (hello.has_login)
        set_user(client, &hello.login);
    return finish_hello(client, call, &hello, pool);
}
