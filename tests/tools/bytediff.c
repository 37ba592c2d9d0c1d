/*
 * The same bytes to two servers, again and again: usage() says how. Each input is a pipeline of ordinary commands that
 * was damaged at random places, on a connection of its own, half-closed behind it, so that both servers answer all they
 * will answer and close. The second may refuse what the first accepts, with a protocol error and a close, and then only
 * what was answered before counts; whatever it answers otherwise must be the same. Ends with 1 at the first difference
 * and shows it; everything is drawn from the seed. libc only.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { INPUT_MAX = 4096, ANSWER_MAX = 1 << 20, COMMANDS_MAX = 5, DAMAGES_MAX = 4, STATE_EVERY = 50 };

struct bytes {
    size_t len;
    uint8_t at[INPUT_MAX];
};

struct answer {
    size_t len;
    char at[ANSWER_MAX];
};

static uint64_t state;

static uint32_t draw(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 16) % below);
}

/* --- inputs --- */

static const char *const commands[][5] = {
    {"SET", "k1", "value"},
    {"GET", "k1"},
    {"APPEND", "k2", "a\r\nb"},
    {"INCR", "n"},
    {"LPUSH", "l", "x"},
    {"LRANGE", "l", "0"},
    {"LRANGE", "l", "0", "-1"},
    {"DEL", "k1", "k2"},
    {"ECHO", "howdy"},
    {"STRLEN", "k2"},
    {"SET", "k1", ""},
    {"GETRANGE", "k2", "0", "3"},
    {"MGET", "k1", "k2"},
    {"HSET", "h", "f", "1"},
    {"HGET", "h", "f"},
    {"EXISTS", "k1"},
    {"PING"},
    {"NOSUCH", "a"},
    {"DECRBY", "n", "4"},
    {"SETRANGE", "k2", "2", "zz"},
};

static void add(struct bytes *input, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct bytes *input, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int n = vsnprintf((char *)input->at + input->len, INPUT_MAX - input->len, format, arguments);
    va_end(arguments);
    input->len += (size_t)n;
}

static void add_command(struct bytes *input, const char *const *words)
{
    unsigned n = 0;

    while (n < 5 && words[n])
        n++;
    bool is_inline = !draw(6) && !strpbrk(words[n - 1], "\r\n") && words[n - 1][0];
    if (!is_inline)
        add(input, "*%u\r\n", n);
    for (unsigned i = 0; i < n; i++) {
        if (is_inline)
            add(input, "%s%s", i ? " " : "", words[i]);
        else
            add(input, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
    }
    if (is_inline)
        add(input, draw(2) ? "\r\n" : "\n");
}

static void cut(struct bytes *input, size_t from, size_t n)
{
    memmove(input->at + from, input->at + from + n, input->len - from - n);
    input->len -= n;
}

static void insert(struct bytes *input, size_t at, const void *bytes, size_t n)
{
    if (input->len + n > INPUT_MAX)
        return;
    memmove(input->at + at + n, input->at + at, input->len - at);
    memcpy(input->at + at, bytes, n);
    input->len += n;
}

static void damage(struct bytes *input)
{
    static const char *const words[] = {
        "\r\n",   "\n",      "\r", "*",  "$", "-1",    "0",       "9",       "00",         "+",
        "*0\r\n", "*-1\r\n", " ",  "\"", "'", "\\x41", "$-1\r\n", "1048577", "2147483648", "*1\r\n$4\r\nPING\r\n"};
    size_t at = draw((uint32_t)input->len), n = 1 + draw(8);
    uint8_t copy[16];

    if (n > input->len - at)
        n = input->len - at;
    switch (draw(5)) {
    case 0:
        input->at[at] ^= (uint8_t)(1 << draw(8));
        break;
    case 1:
        if (n < input->len)
            cut(input, at, n);
        break;
    case 2:
        memcpy(copy, input->at + at, n);
        insert(input, draw((uint32_t)input->len), copy, n);
        break;
    case 3:
        insert(input, at, words[draw(20)], strlen(words[0]));
        break;
    default: {
        const char *word = words[draw(20)];
        insert(input, at, word, strlen(word));
    }
    }
}

static void make_input(struct bytes *input)
{
    input->len = 0;
    for (unsigned n = 1 + draw(COMMANDS_MAX); n; n--)
        add_command(input, commands[draw(sizeof(commands) / sizeof(commands[0]))]);
    for (unsigned n = draw(DAMAGES_MAX); n; n--)
        damage(input);
}

/* --- servers --- */

static int dial(const struct sockaddr_in *to, const void *bytes, size_t len)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* A reset instead of a close: so many connections would use up the ports. */
    struct linger reset = {.l_onoff = 1};
    struct timeval patience = {.tv_sec = 20};

    if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof(*to))) {
        perror("connect");
        exit(2);
    }
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (send(fd, bytes, len, MSG_NOSIGNAL) < 0 || shutdown(fd, SHUT_WR))
        perror("send");
    return fd;
}

/* All there is until the other side closes. */
static void collect(int fd, struct answer *answer)
{
    ssize_t n;

    answer->len = 0;
    while ((n = recv(fd, answer->at + answer->len, ANSWER_MAX - 1 - answer->len, 0)) > 0)
        answer->len += (size_t)n;
    if (n < 0 && errno != ECONNRESET) {
        perror("a server neither answers nor closes");
        exit(1);
    }
    answer->at[answer->len] = 0;
    close(fd);
}

static void ask(const struct sockaddr_in *to, const char *words, struct answer *answer)
{
    collect(dial(to, words, strlen(words)), answer);
}

static void show(const char *who, const void *bytes, size_t len)
{
    fprintf(stderr, "%s: \"", who);
    for (const uint8_t *at = bytes, *end = at + len; at < end; at++)
        fprintf(stderr, *at >= ' ' && *at < 127 && *at != '"' && *at != '\\' ? "%c" : "\\%03o", *at);
    fputs("\"\n", stderr);
}

/* Whether the second server broke it off where the first went on; `same` is how far both are alike. */
static bool is_refusal(const struct answer *first, const struct answer *second)
{
    static const char words[] = "-ERR Protocol error";
    const char *error = memmem(second->at, second->len, words, strlen(words));
    size_t same = error ? (size_t)(error - second->at) : 0;

    return error && same <= first->len && !memcmp(first->at, second->at, same) &&
           memchr(error, '\n', second->len - same) == second->at + second->len - 1;
}

static struct sockaddr_in parse_port(const char *text)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(text)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void usage(void)
{
    fputs("usage: bytediff PORT-OF-REDIS PORT-OF-RESPGATE PORT-OF-ITS-REDIS INPUTS SEED\n"
          "All on 127.0.0.1; the two servers are alike and nobody else uses them (DEBUG DIGEST is allowed).\n",
          stderr);
    exit(64);
}

int main(int argc, char **argv)
{
    static struct answer first, second;
    struct bytes input;

    if (argc != 6)
        usage();
    struct sockaddr_in direct = parse_port(argv[1]), through = parse_port(argv[2]), behind = parse_port(argv[3]);
    uint64_t inputs = strtoull(argv[4], NULL, 10), refused = 0, broken = 0;
    state = strtoull(argv[5], NULL, 10) * 2654435769U + 88172645463325252U;
    for (uint64_t i = 0; i < inputs; i++) {
        make_input(&input);
        int a = dial(&direct, input.at, input.len), b = dial(&through, input.at, input.len);
        collect(a, &first);
        collect(b, &second);
        bool equal = first.len == second.len && !memcmp(first.at, second.at, first.len);
        broken += equal && memmem(first.at, first.len, "-ERR Protocol error", 19);
        bool is_refused = !equal && is_refusal(&first, &second);
        if (is_refused) {
            /* The first has done more. */
            refused++;
            ask(&direct, "FLUSHALL\r\n", &first);
            ask(&behind, "FLUSHALL\r\n", &second);
        } else if (equal && i % STATE_EVERY == 0) {
            ask(&direct, "DEBUG DIGEST\r\n", &first);
            ask(&behind, "DEBUG DIGEST\r\n", &second);
            equal = first.len == second.len && !memcmp(first.at, second.at, first.len);
        }
        if (!equal && !is_refused) {
            fprintf(stderr, "seed %s, input %llu:\n", argv[5], (unsigned long long)i);
            show("input", input.at, input.len);
            show("directly", first.at, first.len);
            show("through", second.at, second.len);
            return 1;
        }
    }
    printf("%llu inputs: %llu answered alike (%llu of them broken for both), %llu refused here only, 0 different\n",
           (unsigned long long)inputs, (unsigned long long)(inputs - refused), (unsigned long long)broken,
           (unsigned long long)refused);
    return 0;
}
