/*
 * What a C program does with hiredis, against a server: hiredis_client PORT | PATH-OF-A-UNIX-SOCKET.
 *
 * Synchronous, pipelined and asynchronous (on libevent) use, each checked; then it asks for a restart of the backend by
 * the line "@restart" on stdout, waits for a line on stdin and goes on. The last line is "hiredis: N checks, 0 failed"
 * and the exit code 0, or the program ends at the first check that fails. One thread.
 */
#include <event2/event.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* After hiredis.h, which it needs. */
#include <hiredis/adapters/libevent.h>

enum { PIPELINED = 20000, ASYNC_COMMANDS = 5000, MESSAGES = 100 };

static const char *address;
static unsigned checks;

#define CHECK(condition) check((condition), #condition, __LINE__)

static void check(bool holds, const char *what, int line)
{
    checks++;
    if (holds)
        return;
    printf("FAILED: line %d: %s\n", line, what);
    exit(1);
}

static bool is_unix(void)
{
    return address[0] == '/';
}

static redisContext *connect_sync(void)
{
    struct timeval timeout = {.tv_sec = 10};
    redisContext *context = is_unix() ? redisConnectUnixWithTimeout(address, timeout)
                                      : redisConnectWithTimeout("127.0.0.1", atoi(address), timeout);

    CHECK(context && !context->err);
    CHECK(redisSetTimeout(context, timeout) == REDIS_OK);
    return context;
}

/* A reply of the type, and of the text unless that is NULL. Frees it. */
static bool is_reply(redisReply *reply, int type, const char *text)
{
    bool same = reply && reply->type == type && (!text || !strcmp(reply->str, text));

    freeReplyObject(reply);
    return same;
}

static bool is_integer(redisReply *reply, long long number)
{
    bool same = reply && reply->type == REDIS_REPLY_INTEGER && reply->integer == number;

    freeReplyObject(reply);
    return same;
}

/* --- synchronous --- */

static void use_sync(void)
{
    redisContext *context = connect_sync();
    char binary[] = "a\0b\r\nc";

    CHECK(is_reply(redisCommand(context, "PING"), REDIS_REPLY_STATUS, "PONG"));
    CHECK(is_reply(redisCommand(context, "FLUSHALL"), REDIS_REPLY_STATUS, "OK"));
    CHECK(is_reply(redisCommand(context, "SET %s %b", "h:binary", binary, sizeof(binary)), REDIS_REPLY_STATUS, "OK"));
    redisReply *reply = redisCommand(context, "GET h:binary");
    CHECK(reply->type == REDIS_REPLY_STRING && reply->len == sizeof(binary));
    CHECK(!memcmp(reply->str, binary, sizeof(binary)));
    freeReplyObject(reply);
    CHECK(is_reply(redisCommand(context, "GET h:none"), REDIS_REPLY_NIL, NULL));
    CHECK(is_reply(redisCommand(context, "LPUSH h:binary x"), REDIS_REPLY_ERROR,
                   "WRONGTYPE Operation against a key holding the wrong kind of value"));
    CHECK(is_reply(redisCommand(context, "MULTI"), REDIS_REPLY_STATUS, "OK"));
    CHECK(is_reply(redisCommand(context, "INCR h:n"), REDIS_REPLY_STATUS, "QUEUED"));
    reply = redisCommand(context, "EXEC");
    CHECK(reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 && reply->element[0]->integer == 1);
    freeReplyObject(reply);
    CHECK(is_reply(redisCommand(context, "BLPOP h:empty 0.05"), REDIS_REPLY_NIL, NULL));
    CHECK(is_integer(redisCommand(context, "RPUSH h:list one"), 1));
    reply = redisCommand(context, "BLPOP h:list 1");
    CHECK(reply->elements == 2 && !strcmp(reply->element[1]->str, "one"));
    freeReplyObject(reply);
    redisFree(context);
}

/* --- pipelined --- */

static void use_pipeline(void)
{
    redisContext *context = connect_sync();
    redisReply *reply;

    CHECK(is_integer(redisCommand(context, "DEL h:n"), 1));
    for (int i = 1; i <= PIPELINED; i++) {
        CHECK(redisAppendCommand(context, "INCR h:n") == REDIS_OK);
        CHECK(redisAppendCommand(context, "ECHO tag-%d", i) == REDIS_OK);
    }
    for (int i = 1; i <= PIPELINED; i++) {
        char tag[32];
        snprintf(tag, sizeof(tag), "tag-%d", i);
        CHECK(redisGetReply(context, (void **)&reply) == REDIS_OK);
        CHECK(is_integer(reply, i));
        CHECK(redisGetReply(context, (void **)&reply) == REDIS_OK);
        CHECK(is_reply(reply, REDIS_REPLY_STRING, tag));
    }
    redisFree(context);
}

/* --- asynchronous --- */

struct async_run {
    struct event_base *base;
    redisAsyncContext *commands, *subscriber;
    int replies, messages, ends;
};

static redisAsyncContext *connect_async(struct async_run *run)
{
    redisAsyncContext *context =
        is_unix() ? redisAsyncConnectUnix(address) : redisAsyncConnect("127.0.0.1", atoi(address));

    CHECK(context && !context->err);
    context->data = run;
    CHECK(redisLibeventAttach(context, run->base) == REDIS_OK);
    return context;
}

static void on_disconnect(const redisAsyncContext *context, int status)
{
    struct async_run *run = context->data;

    CHECK(status == REDIS_OK);
    if (++run->ends == 2)
        event_base_loopbreak(run->base);
}

static void on_number(redisAsyncContext *context, void *reply, void *expected)
{
    struct async_run *run = context->data;
    redisReply *number = reply;

    CHECK(number && number->type == REDIS_REPLY_INTEGER && number->integer == (long)expected);
    CHECK((long)expected == ++run->replies);
}

static void on_published(redisAsyncContext *context, void *reply, void *unused)
{
    redisReply *receivers = reply;

    (void)context;
    (void)unused;
    CHECK(receivers && receivers->type == REDIS_REPLY_INTEGER && receivers->integer == 1);
}

static void begin_commands(struct async_run *run)
{
    CHECK(redisAsyncCommand(run->commands, NULL, NULL, "DEL h:async") == REDIS_OK);
    for (long i = 1; i <= ASYNC_COMMANDS; i++)
        CHECK(redisAsyncCommand(run->commands, on_number, (void *)i, "INCR h:async") == REDIS_OK);
    for (int i = 0; i < MESSAGES; i++)
        CHECK(redisAsyncCommand(run->commands, on_published, NULL, "PUBLISH h:news %d", i) == REDIS_OK);
    redisAsyncDisconnect(run->commands);
}

static void on_news(redisAsyncContext *context, void *reply, void *unused)
{
    struct async_run *run = context->data;
    redisReply *news = reply;

    (void)unused;
    if (!news)
        return;
    CHECK(news->type == REDIS_REPLY_ARRAY && news->elements == 3);
    if (!strcmp(news->element[0]->str, "subscribe")) {
        begin_commands(run);
        return;
    }
    if (!strcmp(news->element[0]->str, "unsubscribe")) {
        redisAsyncDisconnect(context);
        return;
    }
    CHECK(!strcmp(news->element[0]->str, "message") && atoi(news->element[2]->str) == run->messages);
    if (++run->messages == MESSAGES)
        CHECK(redisAsyncCommand(context, NULL, NULL, "UNSUBSCRIBE") == REDIS_OK);
}

static void use_async(void)
{
    struct async_run run = {.base = event_base_new()};
    struct timeval limit = {.tv_sec = 60};

    run.commands = connect_async(&run);
    run.subscriber = connect_async(&run);
    redisAsyncSetDisconnectCallback(run.commands, on_disconnect);
    redisAsyncSetDisconnectCallback(run.subscriber, on_disconnect);
    CHECK(redisAsyncCommand(run.subscriber, on_news, NULL, "SUBSCRIBE h:news") == REDIS_OK);
    event_base_loopexit(run.base, &limit);
    event_base_dispatch(run.base);
    CHECK(run.replies == ASYNC_COMMANDS);
    CHECK(run.messages == MESSAGES);
    CHECK(run.ends == 2);
    event_base_free(run.base);
}

/* --- the backend goes away --- */

/* As applications do: an error of the connection means connecting again, an error reply asking again. */
static bool answers_again(redisContext *context)
{
    for (int attempt = 0; attempt < 1000; attempt++) {
        if (context->err && redisReconnect(context) != REDIS_OK)
            continue;
        redisReply *reply = redisCommand(context, "SET h:back yes");
        bool done = reply && reply->type == REDIS_REPLY_STATUS;
        freeReplyObject(reply);
        if (done)
            return true;
    }
    return false;
}

static void use_restart(void)
{
    redisContext *context = connect_sync();
    char line[32];

    CHECK(is_reply(redisCommand(context, "SET h:gone yes"), REDIS_REPLY_STATUS, "OK"));
    puts("@restart");
    fflush(stdout);
    CHECK(fgets(line, sizeof(line), stdin));
    CHECK(answers_again(context));
    CHECK(is_reply(redisCommand(context, "GET h:gone"), REDIS_REPLY_NIL, NULL));
    CHECK(is_reply(redisCommand(context, "GET h:back"), REDIS_REPLY_STRING, "yes"));
    redisFree(context);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: hiredis_client PORT|SOCKET\n", stderr);
        return 64;
    }
    signal(SIGPIPE, SIG_IGN);
    address = argv[1];
    use_sync();
    use_pipeline();
    use_async();
    use_restart();
    printf("hiredis: %u checks, 0 failed\n", checks);
    return 0;
}
