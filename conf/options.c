#include "conf/options.h"

#include <string.h>

#include "conf/text.h"

#define KIB (INT64_C(1) << 10)
#define MIB (INT64_C(1) << 20)
#define GIB (INT64_C(1) << 30)
#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

static const struct option listen_options[] = {
    {.key = "address",
     .type = OPTION_ADDRESS,
     .initial = "127.0.0.1:6380",
     .doc = "Where clients connect. May be empty when unix_socket is set."},
    {.key = "unix_socket",
     .type = OPTION_TEXT,
     .max = 107,
     .initial = "",
     .doc = "Path of a Unix socket to listen on as well; empty: none."},
    {.key = "unix_socket_mode",
     .type = OPTION_MODE,
     .max = 0777,
     .initial = "0660",
     .doc = "Permissions of the Unix socket."},
    {.key = "workers",
     .type = OPTION_NUMBER,
     .min = 1,
     .max = 64,
     .initial = "1",
     .doc = "Threads that carry requests. One is enough for most applications."},
    {.key = "max_clients",
     .type = OPTION_NUMBER,
     .min = 1,
     .max = 1000000,
     .initial = "10000",
     .doc = "Clients connected at one time; further ones are told so and closed."},
    {.key = "auth",
     .type = OPTION_WORD,
     .words = "none|password|backend",
     .initial = "none",
     .doc = "Who checks a client's AUTH: nobody, we (password and [user NAME]), or the backend with connections per "
            "user."},
    {.key = "password",
     .type = OPTION_TEXT,
     .secret = true,
     .max = 4096,
     .initial = "",
     .doc = "The password of the user `default` when auth is password; empty: none."},
    {.key = "login_timeout",
     .type = OPTION_DURATION,
     .max = 24 * HOUR,
     .initial = "10s",
     .doc = "A client that has not authenticated after this long is closed; 0: never."},
    {.key = "idle_timeout",
     .type = OPTION_DURATION,
     .max = 24 * HOUR,
     .initial = "0",
     .doc = "A client that sends nothing for this long is closed; 0: never."},
    {.key = "drain_timeout",
     .type = OPTION_DURATION,
     .max = HOUR,
     .initial = "20s",
     .doc = "After SIGTERM, how long requests in flight may take to finish."},
    {.key = "max_bulk",
     .type = OPTION_SIZE,
     .min = KIB,
     .max = 512 * MIB,
     .initial = "512MiB",
     .doc = "Largest argument of a command."},
    {.key = "max_args",
     .type = OPTION_NUMBER,
     .min = 4,
     .max = 1048576,
     .initial = "1048576",
     .doc = "Most arguments of a command."},
    {.key = "query_buffer",
     .type = OPTION_SIZE,
     .min = 64 * KIB,
     .max = GIB,
     .initial = "1MiB",
     .doc = "Most bytes of one command that are held here."},
    {.key = "stream_threshold",
     .type = OPTION_SIZE,
     .min = 16 * KIB,
     .max = 16 * MIB,
     .initial = "64KiB",
     .doc = "A command above it streams over a backend connection of its own. At most query_buffer."},
    {.key = "reply_buffer",
     .type = OPTION_SIZE,
     .min = 16 * KIB,
     .max = GIB,
     .initial = "64KiB",
     .doc = "Replies held for a client before its connection stops being read. At most reply_buffer_max."},
    {.key = "reply_buffer_max",
     .type = OPTION_SIZE,
     .min = 16 * KIB,
     .max = GIB,
     .initial = "1MiB",
     .doc = "Most bytes of replies ever held for one client."},
    {.key = "slow_client_timeout",
     .type = OPTION_DURATION,
     .min = 1,
     .max = 24 * HOUR,
     .initial = "10s",
     .doc = "A client that takes nothing of what is held for it for this long is closed (after 1s when others wait "
            "behind it)."},
    {.key = "pipeline_depth",
     .type = OPTION_NUMBER,
     .min = 1,
     .max = 65536,
     .initial = "1024",
     .doc = "Requests of one client in flight; further ones wait in its socket."},
    {.key = "refuse_commands",
     .type = OPTION_NAMES,
     .words = "default|none",
     .initial = "default",
     .doc = "Commands answered with -ERR respgate: '...' is refused by policy (see refuse-commands); a subcommand is "
            "written client|kill."},
    {.key = "script_cache",
     .type = OPTION_SIZE,
     .max = GIB,
     .initial = "1MiB",
     .doc = "Bytes of script bodies kept, so that a backend that forgot one can be taught it again; 0: none."},
};

static const struct option user_options[] = {
    {.key = "password",
     .type = OPTION_TEXT,
     .secret = true,
     .required = true,
     .min = 1,
     .max = 4096,
     .initial = "",
     .example = "change-me",
     .doc = "What this user must give to AUTH."},
};

static const struct option backend_options[] = {
    {.key = "url",
     .type = OPTION_URL,
     .secret = true,
     .required = true,
     .initial = "",
     .example = "redis://127.0.0.1:6379/0",
     .doc = "redis://[user[:password]@]host[:port][/db], or unix://[user[:password]@]/path[?db=N]."},
    {.key = "connections",
     .type = OPTION_NUMBER,
     .min = 1,
     .max = 16,
     .initial = "1",
     .doc = "Connections per worker that clients share."},
    {.key = "max_connections",
     .type = OPTION_NUMBER,
     .min = 1,
     .max = 10000,
     .initial = "1024",
     .doc = "All connections per worker, with those that a transaction, a subscription or the like has to itself."},
    {.key = "connect_timeout",
     .type = OPTION_DURATION,
     .min = 1,
     .max = HOUR,
     .initial = "2s",
     .doc = "Limit for connecting and logging in."},
    {.key = "command_timeout",
     .type = OPTION_DURATION,
     .max = 24 * HOUR,
     .initial = "0",
     .doc = "Limit for the reply to a command that does not block by its nature; 0: none."},
    {.key = "idle_timeout",
     .type = OPTION_DURATION,
     .max = 24 * HOUR,
     .initial = "60s",
     .doc = "A connection of its own that nobody uses is closed after this long; 0: never."},
};

static const struct option fallback_options[] = {
    {.key = "queue_timeout",
     .type = OPTION_DURATION,
     .max = HOUR,
     .initial = "1s",
     .doc = "How long a request waits for a usable backend before it is answered -RGUNAVAIL; 0: not at all."},
    {.key = "on_unknown",
     .type = OPTION_WORD,
     .words = "error|close",
     .initial = "error",
     .doc = "A request whose outcome is unknown is answered -RGUNKNOWN (in a session -RGSTATE), or its client is just "
            "closed."},
};

static const struct option log_options[] = {
    {.key = "level",
     .type = OPTION_WORD,
     .words = "error|warn|info|debug",
     .initial = "info",
     .doc = "What is worth a line on stderr."},
    {.key = "format",
     .type = OPTION_WORD,
     .words = "logfmt|json",
     .initial = "logfmt",
     .doc = "How a line is written."},
};

#define ROWS(array) .options = array, .n_options = sizeof array / sizeof *array

const struct section conf_sections[] = {
    {.name = "listen", .doc = "The side of the clients.", ROWS(listen_options)},
    {.name = "user",
     .named = true,
     .example = "app",
     .doc = "A user that clients may log in as when listen.auth is password. One section for each.",
     ROWS(user_options)},
    {.name = "backend",
     .named = true,
     .shorthand = "default",
     .example = "default",
     .missing = "no backend is configured, set [backend NAME] url or RESPGATE_BACKEND_URL",
     .doc = "A Redis or Valkey to send requests to. At least one.",
     ROWS(backend_options)},
    {.name = "fallback", .doc = "What happens while no backend is usable.", ROWS(fallback_options)},
    {.name = "log", .doc = "One line for each event, on stderr.", ROWS(log_options)},
};

const size_t conf_n_sections = sizeof conf_sections / sizeof *conf_sections;

const struct section *section_find(const char *name, size_t len)
{
    for (size_t i = 0; i < conf_n_sections; i++) {
        if (strlen(conf_sections[i].name) == len && strncmp(conf_sections[i].name, name, len) == 0) {
            return &conf_sections[i];
        }
    }
    return NULL;
}

const struct option *option_find(const struct section *section, const char *key)
{
    for (size_t i = 0; i < section->n_options; i++) {
        if (strcmp(section->options[i].key, key) == 0) {
            return &section->options[i];
        }
    }
    return NULL;
}

const struct option *option_find_file(const struct section *section, const char *key)
{
    for (size_t i = 0; i < section->n_options; i++) {
        const struct option *option = &section->options[i];
        size_t len = strlen(option->key);
        if (option->secret && strncmp(key, option->key, len) == 0 && strcmp(key + len, "_file") == 0) {
            return option;
        }
    }
    return NULL;
}

const char *section_nearest(const char *name)
{
    const char *nearest = NULL;
    unsigned best = 3;
    for (size_t i = 0; i < conf_n_sections; i++) {
        unsigned distance = text_distance(name, conf_sections[i].name);
        if (distance < best) {
            best = distance;
            nearest = conf_sections[i].name;
        }
    }
    return nearest;
}

const char *option_nearest(const struct section *section, const char *key)
{
    const char *nearest = NULL;
    unsigned best = 3;
    for (size_t i = 0; i < section->n_options; i++) {
        unsigned distance = text_distance(key, section->options[i].key);
        if (distance < best) {
            best = distance;
            nearest = section->options[i].key;
        }
    }
    return nearest;
}
