#include "proxy/cli/ask.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "conf/address.h"
#include "conf/conf.h"
#include "conf/url.h"

static struct timeval to_timeval(unsigned ms)
{
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
}

const char *ask_host(const char *host)
{
    if (!host[0] || !strcmp(host, "0.0.0.0") || !strcmp(host, "*"))
        return "127.0.0.1";
    return strcmp(host, "::") != 0 ? host : "::1";
}

/* What the configuration says of logins: ours, or those of the first backend when that decides. */
static void set_login(struct ask_target *target, const struct conf *conf)
{
    const char *auth = conf_string(conf, "listen", NULL, "auth");
    const char *password = conf_string(conf, "listen", NULL, "password");

    if (strcmp(auth, "password") != 0)
        return;
    if (password[0]) {
        target->password = password;
    } else if (conf_names(conf, "user")) {
        target->user = conf_name_at(conf, "user", 0);
        target->password = conf_string(conf, "user", target->user, "password");
    }
}

bool ask_target_of(struct ask_target *target, const struct conf *conf, char *error, unsigned error_len)
{
    const char *listen = conf_string(conf, "listen", NULL, "address");
    const char *path = conf_string(conf, "listen", NULL, "unix_socket");
    struct address address = {.port = 0};

    memset(target, 0, sizeof(*target));
    set_login(target, conf);
    if (path[0]) {
        snprintf(target->host, sizeof(target->host), "%s", path);
        return true;
    }
    if (address_parse(listen, strlen(listen), &address) || !address.port) {
        snprintf(error, error_len, "listen.address: has no port to ask");
        return false;
    }
    snprintf(target->host, sizeof(target->host), "%s", ask_host(address.host));
    target->port = address.port;
    return true;
}

static redisContext *connect_to(const struct ask_target *target, struct timeval timeout)
{
    return target->port ? redisConnectWithTimeout(target->host, (int)target->port, timeout)
                        : redisConnectUnixWithTimeout(target->host, timeout);
}

static redisReply *command(redisContext *context, int argc, const char **argv)
{
    return redisCommandArgv(context, argc, argv, NULL);
}

static bool log_in(redisContext *context, const struct ask_target *target, struct ask_answer *answer)
{
    redisReply *reply;
    bool ok;

    if (!target->password)
        return true;
    reply = target->user ? command(context, 3, (const char *[]){"AUTH", target->user, target->password})
                         : command(context, 2, (const char *[]){"AUTH", target->password});
    ok = reply && reply->type != REDIS_REPLY_ERROR;
    if (!ok)
        snprintf(answer->reason, sizeof(answer->reason), "the login was refused: %s",
                 reply ? reply->str : context->errstr);
    if (reply)
        freeReplyObject(reply);
    return ok;
}

/* The value of "key:value" on a line of its own. */
static void read_line(const char *status, const char *key, char *value, size_t len)
{
    const char *line = status;
    size_t key_len = strlen(key);

    value[0] = 0;
    while (line && (strncmp(line, key, key_len) != 0 || line[key_len] != ':')) {
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    if (line)
        snprintf(value, len, "%.*s", (int)strcspn(line + key_len + 1, "\r\n"), line + key_len + 1);
}

static void read_status(const redisReply *reply, struct ask_answer *answer)
{
    char ready[8];

    answer->live = true;
    if (reply->type != REDIS_REPLY_STRING) {
        snprintf(answer->reason, sizeof(answer->reason), "not a respgate: %s", reply->str ? reply->str : "odd reply");
        answer->live = false;
        return;
    }
    read_line(reply->str, "ready", ready, sizeof(ready));
    read_line(reply->str, "backend", answer->backend, sizeof(answer->backend));
    read_line(reply->str, "ready_reason", answer->reason, sizeof(answer->reason));
    answer->ready = !strcmp(ready, "yes");
}

void ask(const struct ask_target *target, unsigned timeout_ms, struct ask_answer *answer)
{
    redisContext *context = connect_to(target, to_timeval(timeout_ms));
    redisReply *reply = NULL;

    memset(answer, 0, sizeof(*answer));
    if (!context || context->err) {
        snprintf(answer->reason, sizeof(answer->reason), "cannot connect to %.200s port %u: %.90s", target->host,
                 target->port, context ? context->errstr : "out of memory");
    } else if (!redisSetTimeout(context, to_timeval(timeout_ms)) && log_in(context, target, answer)) {
        reply = command(context, 2, (const char *[]){"RESPGATE", "STATUS"});
        if (reply)
            read_status(reply, answer);
        else
            snprintf(answer->reason, sizeof(answer->reason), "no answer: %s", context->errstr);
    }
    if (reply)
        freeReplyObject(reply);
    if (context)
        redisFree(context);
}
